"""Mistakes in calls of the front door end in one line."""

from __future__ import annotations

import pytest

import idiolect as idl
from idiolect.errors import InputError


@pytest.mark.parametrize("split", [None, "split", 3])
def test_a_split_is_not_its_folder(split):
    with pytest.raises(InputError, match="a split is needed"):
        idl.evaluate([idl.RAG("fake")], split)
    with pytest.raises(InputError, match="a split is needed"):
        idl.DEP("sandbox").fit(split)


def test_the_hint_for_a_column_is_right_for_python(tmp_path):
    with pytest.raises(InputError) as found:
        idl.Store(tmp_path / "s.db").add([{"who": "ann", "item": "tea", "text": "Fine."}])
    assert "user='NAME'" in str(found.value.hint)
