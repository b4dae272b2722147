from __future__ import annotations

import errno
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.store.privacy import Pseudonyms, check_names, user_in
from idiolect.store.sql import SqlStore
from idiolect.types import Review


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


def test_a_key_is_made_on_a_file_system_without_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", Mock(side_effect=OSError(errno.EPERM, "no links here")))
    assert Pseudonyms.open(tmp_path / "key").name == Pseudonyms.open(tmp_path / "key").name
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_of_several_that_make_a_key_at_once_all_get_the_same(tmp_path):
    """Else one finds the file that another has begun and not yet written."""
    for place in range(20):
        together = threading.Barrier(8)

        def name(path=tmp_path / f"key-{place}", together=together):
            together.wait()
            return Pseudonyms.open(path).name

        with ThreadPoolExecutor(8) as pool:
            assert len({found.result() for found in [pool.submit(name) for _ in range(8)]}) == 1
    assert len(list(tmp_path.iterdir())) == 20


def test_what_is_no_key_is_refused(tmp_path):
    with pytest.raises(NotFoundError):
        Pseudonyms.open(tmp_path / "key", create=False)
    (tmp_path / "key").write_text("letmein")
    with pytest.raises(ArtifactError, match="holds no key"):
        Pseudonyms.open(tmp_path / "key")
    (tmp_path / "key").write_text("abcd")
    with pytest.raises(ArtifactError):
        Pseudonyms.open(tmp_path / "key")


def test_a_store_keeps_to_the_names_that_its_first_reviews_came_with(tmp_path):
    key, other = (Pseudonyms.open(tmp_path / name) for name in ("key", "other"))
    with SqlStore(tmp_path / "store.db") as store:
        check_names(store, None)
        check_names(store, other, take=True)
        check_names(store, key, take=True)  # for there is no review yet
        store.add([], [Review(id="r", user=key("ann"), item="tea", text="Mild.")])
        assert user_in(store, "ann", tmp_path / "key") == key("ann")
        for wrong, why in ((None, "by pseudonyms"), (other, "another key")):
            with pytest.raises(ConfigError, match=why):
                check_names(store, wrong, take=True)


def test_a_store_of_own_ids_takes_no_pseudonyms(tmp_path):
    with SqlStore(tmp_path / "store.db") as store:
        store.add([], [Review(id="r", user="ann", item="tea", text="Mild.")])
        assert user_in(store, "ann", None) == "ann"
        with pytest.raises(ConfigError, match="own ids"):
            check_names(store, Pseudonyms.open(tmp_path / "key"), take=True)
        with pytest.raises(NotFoundError):
            user_in(store, "ann", tmp_path / "none")
