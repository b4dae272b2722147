"""Whatever somebody changes behind the store's back is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from idiolect.store.schema import _digest, review_row
from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review


def test_a_store_in_order_has_nothing_to_mend(store):
    store.add([Item(id="i1", title="One")], [])
    store.set_peer("u3", False)
    store.forget("u5")
    assert [finding.detail for finding in store.check() if not finding.ok] == []


def test_an_empty_store_is_in_order(tmp_path):
    with SqlStore(tmp_path / "store.db") as store:
        assert all(finding.ok for finding in store.check())


@pytest.mark.parametrize(
    ("change", "name", "says"),
    [
        ("UPDATE reviews SET text = 'other' WHERE id = 'r7'", "rows", "'r7'"),
        ("UPDATE reviews SET text = cast(x'ff' AS TEXT) WHERE id = 'r7'", "rows", "UTF-8"),
        ("UPDATE meta SET n_reviews = 3", "rows", "totals"),
        ("UPDATE meta SET digest = '00'", "rows", "fingerprint"),
        ("INSERT INTO not_peers VALUES ('u1')", "rows", "fingerprint"),
        ("INSERT INTO not_peers VALUES ('u1')", "sums", "sums of 'e'"),
        ("DELETE FROM reviews WHERE id = 'r7'", "orphans", "1 vectors have no review"),
        ("DELETE FROM encoders", "orphans", "300 vectors have no encoder"),
        ("UPDATE vectors SET vector = x'00' WHERE review = 4", "vectors", "1 vectors are not"),
        ("UPDATE encoders SET n_vectors = 3", "vectors", "total"),
        ("UPDATE vectors SET vector = zeroblob(16) WHERE review = 4", "sums", "1 sums"),
        ("UPDATE item_sums SET count = count + 1 WHERE item = 'i2'", "sums", "'i2'"),
        ("DELETE FROM item_sums WHERE item = 'i2'", "sums", "'i2'"),
        ("INSERT INTO item_sums SELECT 'nowhere', 1, 2, zeroblob(64)", "sums", "'nowhere'"),
        ("UPDATE category_sums SET count = 3", "categories", "category ''"),
        ("DELETE FROM category_sums", "categories", "1 sums"),
        ("INSERT INTO category_sums SELECT 'Food', 1, 2, zeroblob(64)", "categories", "'Food'"),
        ("UPDATE category_sums SET sum = x'00'", "vectors", "1 category sums"),
        ("UPDATE meta SET unscrubbed = 1", "erasures", "erased user"),
    ],
)
def test_what_was_changed_behind_its_back_is_found(store, tmp_path, change, name, says):
    with closing(sqlite3.connect(tmp_path / "store.db")) as raw:
        raw.execute(change)
        raw.commit()
    finding = {finding.name: finding for finding in store.check()}[name]
    assert not finding.ok
    assert says in finding.detail
    assert "\n" not in finding.detail


def test_a_torn_page_is_found(store, tmp_path):
    store.close()
    path = tmp_path / "store.db"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xee" * 4096)
    with SqlStore(path) as again:
        assert any(not finding.ok for finding in again.check())


def test_a_rating_of_minus_zero_that_an_earlier_version_stored_is_no_damage(tmp_path: Path) -> None:
    """Its digest was that of -0.0; SQLite keeps 0.0."""
    place = tmp_path / "store.db"
    zero = Review(id="r", user="ann", item="tea", text="x", rating=0.0, timestamp=3)
    with SqlStore(place) as store:
        store.add([], [zero])
    kept = _digest(b"review", ("r", "ann", "tea", "", "x"), -0.0, 3, 0)
    assert kept != review_row(zero)[-1]
    with closing(sqlite3.connect(place)) as database, database:
        database.execute("UPDATE reviews SET digest = ?", (kept,))
        database.execute("UPDATE meta SET digest = ?", (f"{int.from_bytes(kept):032x}",))
    with SqlStore(place) as store:
        assert [finding.detail for finding in store.check() if not finding.ok] == []
        store.forget("ann")
        assert [finding.detail for finding in store.check() if not finding.ok] == []
    with closing(sqlite3.connect(place)) as database, database:
        database.execute("UPDATE meta SET digest = '00'")
    with SqlStore(place) as store:
        assert [finding.name for finding in store.check() if not finding.ok] == ["rows"]
