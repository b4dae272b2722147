from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.errors import ArtifactError, NotFoundError
from idiolect.store.pseudonym import Pseudonyms


@given(a=st.text(), b=st.text())
def test_equal_users_have_equal_pseudonyms_and_others_do_not(a, b):
    names = Pseudonyms(b"k" * 32)
    assert (names(a) == names(b)) == (a == b)


def test_another_key_gives_other_pseudonyms():
    assert Pseudonyms(b"k" * 32)("ann") != Pseudonyms(b"l" * 32)("ann")
    assert "ann" not in Pseudonyms(b"k" * 32)("ann")


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path):
    path = tmp_path / "key"
    first = Pseudonyms.open(path)("ann")
    assert Pseudonyms.open(path)("ann") == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_no_key_is_refused(tmp_path):
    with pytest.raises(NotFoundError):
        Pseudonyms.open(tmp_path / "key", create=False)
    (tmp_path / "key").write_text("letmein")
    with pytest.raises(ArtifactError, match="holds no key"):
        Pseudonyms.open(tmp_path / "key")
    (tmp_path / "key").write_text("abcd")
    with pytest.raises(ArtifactError):
        Pseudonyms.open(tmp_path / "key")
