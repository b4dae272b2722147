"""Mistakes in calls of the front door end in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import idiolect as idl
from idiolect.data.rejects import UnusableRow
from idiolect.data.values import parse_rating
from idiolect.errors import InputError
from idiolect.store.single_review import read_rating


@pytest.mark.parametrize("split", [None, "split", 3])
def test_a_split_is_not_its_folder(split):
    with pytest.raises(InputError, match="a split is needed"):
        idl.evaluate([idl.RAG("fake")], split)
    with pytest.raises(InputError, match="a split is needed"):
        idl.DEP("sandbox").fit(split)


@given(st.text(max_size=60) | st.from_regex(r"[0-9]{1,9000}", fullmatch=True))
def test_a_text_is_the_rating_that_files_have_or_is_refused_in_a_line(text):
    try:
        expected = parse_rating(text)
    except UnusableRow:
        with pytest.raises(InputError, match="is no rating") as found:
            idl.RAG("fake").write("none.db", user="u", item="i", rating=text)
        assert "\n" not in str(found.value)
    else:
        assert read_rating(text) == expected


def test_the_hint_for_a_column_is_right_for_python(tmp_path):
    with pytest.raises(InputError) as found:
        idl.Store(tmp_path / "s.db").add([{"who": "ann", "item": "tea", "text": "Fine."}])
    assert "user='NAME'" in str(found.value.hint)
