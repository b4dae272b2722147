from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from idiolect.data.kcore import ITEM_SCHEMA, REVIEW_SCHEMA
from idiolect.data.records import digest_id
from idiolect.errors import NotFoundError
from idiolect.store.parquet import export_store, import_store
from idiolect.store.schema import review_row
from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review


def test_the_review_frame_has_every_field_in_table_order(tmp_path):
    rows = [
        Review(id="z", user="u", item="i", text="t", rating=1.5, title="n", timestamp=7, order=3),
        Review(id="a", user="v", item="j", text=""),
    ]
    with SqlStore(tmp_path / "s.db") as store:
        store.add([], rows[:1])
        store.add([], rows[1:])
        frame = store.review_frame()
    assert frame.schema == REVIEW_SCHEMA
    assert frame.rows() == [("z", "u", "i", 1.5, "n", "t", 7, 3), ("a", "v", "j", None, "", "", None, 0)]


def test_the_item_frame_has_every_field_in_table_order(tmp_path):
    with SqlStore(tmp_path / "s.db") as store:
        store.add([Item(id="z", title="t", description="d", category="c"), Item(id="a")], [])
        frame = store.item_frame()
    assert frame.schema == ITEM_SCHEMA
    assert frame.rows() == [("z", "t", "d", "c"), ("a", "", "", "")]


def test_frames_of_an_empty_store_have_their_columns(tmp_path):
    with SqlStore(tmp_path / "s.db") as store:
        assert store.review_frame().schema == REVIEW_SCHEMA
        assert store.item_frame().schema == ITEM_SCHEMA
        assert store.missing_vectors("e").columns == ["review_id", "length"]


def test_totals_follow_every_change(store):
    counts = store.counts()
    assert (counts.items, counts.reviews, counts.dated) == (0, 300, 300)
    own = len(store.profile("u3"))
    store.forget("u3")
    store.add([Item(id="x")], [Review(id="new", user="u", item="x", text="")])
    counts = store.counts()
    assert (counts.items, counts.reviews, counts.dated) == (1, 301 - own, 300 - own)


def test_users_and_encoders_are_listed(store):
    assert store.users() == sorted(f"u{k}" for k in range(20))
    assert store.encoders() == {"e": 8}


def test_reviews_come_in_the_order_asked_for(store):
    assert [review.id for review in store.reviews(["r7", "r3", "r7"])] == ["r7", "r3", "r7"]
    with pytest.raises(NotFoundError, match="r999"):
        store.reviews(["r7", "r999"])


def test_missing_vectors_are_those_of_this_encoder(store):
    assert store.missing_vectors("e").is_empty()
    assert store.missing_vectors("other").height == 300
    store.add([], [Review(id="new", user="u", item="i", text="four")])
    assert store.missing_vectors("e").rows() == [("new", 4)]
    assert store.missing_vectors("e", ["new", "r1", "new"]).rows() == [("new", 4)]
    assert store.missing_vectors("other", ["r2", "r1"])["review_id"].to_list() == ["r1", "r2"]
    with pytest.raises(NotFoundError, match="r999"):
        store.missing_vectors("e", ["r999"])


def test_more_keys_than_one_query_takes_are_looked_up(tmp_path, reviews, vectors):
    some = reviews(2500, users=5, items=2300)
    ids = [review.id for review in some]
    with SqlStore(tmp_path / "s.db") as store:
        store.add([Item(id=f"i{k}") for k in range(2300)], some)
        assert store.add_vectors(ids, vectors(2500), encoder="e") == 2500
        np.testing.assert_array_equal(store.vectors(ids, encoder="e"), vectors(2500))
        assert [review.id for review in store.reviews(ids)] == ids
        assert len(store.items([f"i{k}" for k in range(2300)])) == 2300
        assert store.peer_sums([f"i{k}" for k in range(2300)], exclude="", encoder="e").counts.sum() == 2500


def test_threads_may_write_at_the_same_time(tmp_path, reviews, vectors):
    some = reviews(200)
    ids = [review.id for review in some]
    with SqlStore(tmp_path / "s.db") as store:

        def write(start):
            part = slice(start, start + 20)
            store.add([], some[part])
            store.add_vectors(ids[part], vectors(200)[part], encoder="e")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(0, 200, 20)))
        assert store.counts().reviews == 200
        items = sorted({review.item for review in some})
        expected = [sum(vectors(200)[k].astype(float) for k, r in enumerate(some) if r.item == item) for item in items]
        np.testing.assert_array_equal(store.peer_sums(items, exclude="", encoder="e").sums, expected)


def add_one(store):
    store.add([], [Review(id="new", user="u1", item="i1", text="")])
    store.add_vectors(["new"], np.ones((1, 8)) / 8, encoder="e")


@pytest.mark.parametrize(
    "action",
    [
        add_one,
        lambda store: store.profile("u1"),
        lambda store: store.reviews_of("i1", exclude="u1", before=40),
        lambda store: store.peer_sums(["i1", "i2"], exclude="u1", encoder="e"),
        lambda store: store.peer_sums(["i1", "i2"], exclude="u1", encoder="e", before=40),
        lambda store: store.missing_vectors("e", ["r1"]),
        lambda store: store.forget("u1"),
    ],
    ids=["add", "profile", "reviews_of", "peer_sums", "peer_sums_before", "missing_vectors", "forget"],
)
def test_no_single_request_looks_at_the_whole_store(store, action):
    statements: set[str] = set()
    event.listen(store._engine, "before_cursor_execute", lambda _c, _k, sql, *_: statements.add(sql))
    action(store)
    seen = [sql for sql in statements if sql.startswith(("SELECT", "UPDATE", "DELETE")) and "meta" not in sql]
    with store.reading() as connection:
        for sql in seen:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", tuple("x" * sql.count("?"))).all()
            assert not [row for row in plan if row[3].startswith("SCAN")], sql


def test_the_frame_gives_back_what_the_fingerprint_stands_for(store, tmp_path):
    frame = store.review_frame()
    with SqlStore(tmp_path / "copy.db") as copy:
        columns = {"review_id": "id"}
        copy.add(
            [],
            [
                Review(**{columns.get(k, k): v for k, v in row.items()})
                for row in frame.sample(fraction=1.0, shuffle=True, seed=1).to_dicts()
            ],
        )
        assert copy.fingerprint() == store.fingerprint()
        assert copy.review_frame().sort("review_id").equals(frame.sort("review_id"))
        assert isinstance(frame, pl.DataFrame)


NUMBERS = st.sampled_from([int, float, np.int64, np.float64, np.float32, Decimal, Fraction])


@settings(max_examples=30, deadline=None)
@given(rating=st.integers(0, 100), time=st.integers(0, 2**31 - 1), of=NUMBERS, at=st.sampled_from(
    [int, float, np.int64, np.int32, np.uint64, np.float64, Decimal]))  # fmt: skip
def test_numbers_of_any_type_are_stored_as_the_plain_ones(rating, time, of, at):
    plain = review_row(Review(id="1", user="ann", item="tea", text="x", rating=float(rating), timestamp=time, order=3))
    other = Review(
        id=np.str_("1"), user=np.str_("ann"), item="tea", text=np.str_("x"), rating=of(rating), timestamp=at(time),
        order=np.int64(3),
    )  # fmt: skip
    assert review_row(other) == plain
    assert all(type(value) in (str, int, float, bytes) for value in review_row(other))


WRONG = [
    *({"rating": value} for value in (True, np.bool_(True), "4", float("nan"), np.float64("inf"), Decimal("sNaN"))),
    *({"rating": value} for value in (10**400, np.array([1.0]), np.timedelta64(4), 1j)),
    *({"timestamp": value} for value in (1.5, float("nan"), True, "5", np.datetime64("2020-01-01"), 1e300)),
    *({"timestamp": value} for value in (2**63, np.uint64(2**64 - 1), Decimal("1e999999999"), np.timedelta64(4))),
    *({"order": value} for value in (None, float("inf"), Decimal("NaN"), np.array([1]), -(2**63) - 1)),
    *({name: value} for name in ("id", "user", "item", "title", "text") for value in (None, 5, float("nan"), b"x")),
]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_values_of_another_type_are_refused_at_once(tmp_path, wrong):
    good = {"id": "1", "user": "ann", "item": "tea", "text": "x"}
    with SqlStore(tmp_path / "store.db") as store:
        report = store.add([], [Review(**{**good, **wrong}), Review(**{**good, "id": "2"})])
        assert (report.reviews_added, len(report.refused_reviews)) == (1, 1)
        assert next(iter(wrong)) in report.refused_reviews[0][1] or "64 bits" in report.refused_reviews[0][1]


def test_missing_values_of_pandas_are_refused(tmp_path):
    pd = pytest.importorskip("pandas")
    with SqlStore(tmp_path / "store.db") as store:
        for name, value in itertools.product(
            ("rating", "timestamp", "title"), (pd.NA, pd.NaT, pd.Timestamp(5, unit="s"))
        ):
            report = store.add([], [Review(**{"id": "1", "user": "ann", "item": "tea", "text": "x", name: value})])
            assert name in report.refused_reviews[0][1]


def test_a_list_is_looked_at_before_the_transaction(tmp_path, monkeypatch):
    monkeypatch.setattr("idiolect.store.sql.writing", None)  # which a transaction would call
    with SqlStore(tmp_path / "store.db") as store, pytest.raises(AttributeError, match="'dict'"):
        store.add([], [{"id": "1"}])


def test_minus_zero_is_zero(tmp_path):
    minus, plus = (Review(id="1", user="ann", item="tea", text="x", rating=zero) for zero in (-0.0, 0.0))
    with SqlStore(tmp_path / "a.db") as store, SqlStore(tmp_path / "b.db") as other:
        store.add([], [minus])
        other.add([], [plus])
        assert store.fingerprint() == other.fingerprint()
        assert all(finding.ok for finding in store.check())
        export_store(store, tmp_path / "out")
        with SqlStore(tmp_path / "c.db") as copy:
            assert import_store(tmp_path / "out", copy).equal
        assert store.add([], [plus]).reviews_known == 1
    assert digest_id("a", "b", 5, "", "x", -0.0) == digest_id("a", "b", 5, "", "x", 0.0)


def test_a_time_of_numpy_is_compared_as_the_plain_one(tmp_path):
    with SqlStore(tmp_path / "store.db") as store:
        store.add([], [Review(id=f"{k}", user=f"u{k}", item="tea", text="x", timestamp=k) for k in range(1, 5)])
        store.add_vectors(["1", "2", "3"], np.eye(3), encoder="e")
        assert len(store.reviews_of("tea", exclude="u1", before=np.int64(4))) == 2
        assert store.peer_sums(["tea"], exclude="u1", encoder="e", before=np.int64(3)).counts.tolist() == [1]
        assert store.peer_group_sums([None], exclude="u1", encoder="e", before=np.int64(3)).counts.tolist() == [1]


def test_rows_of_one_call_that_share_an_id_are_told_apart_from_new_ones(tmp_path):
    tea = Review(id="1", user="ann", item="tea", text="Mild.")
    with SqlStore(tmp_path / "s.db") as store:
        report = store.add([], [tea, tea, replace(tea, text="Hot."), replace(tea, id="2")])
        assert (report.reviews_added, report.reviews_known) == (2, 1)
        assert [id for id, _ in report.refused_reviews] == ["1"]
        assert [review.text for review in store.reviews(["1", "2"])] == ["Mild.", "Mild."]
        assert store.counts().reviews == 2
        assert all(finding.ok for finding in store.check())


def test_what_was_summed_before_an_item_had_a_record_moves_to_its_category(tmp_path):
    with SqlStore(tmp_path / "s.db") as store:
        store.add([], [Review(id="1", user="ann", item="tea", text="Mild.")])
        store.add_vectors(["1"], np.full((1, 2), 0.5), encoder="e")
        store.add([Item(id="tea", category="Drinks")], [])
        assert all(finding.ok for finding in store.check())
        found = store.peer_group_sums(["Drinks", ""], exclude="bob", encoder="e")
        assert found.counts.tolist() == [1, 0]
