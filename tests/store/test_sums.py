from __future__ import annotations

import math
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from idiolect.errors import InputError
from idiolect.store.sql import SqlStore
from idiolect.store.sums import group_codes, group_sums, to_float16
from idiolect.types import Review

HALVES = hnp.from_dtype(np.dtype(np.float16), min_value=-1, max_value=1, allow_nan=False)


@given(data=st.data(), n=st.integers(0, 40), groups=st.integers(1, 5))
def test_group_sums_are_exact(data, n, groups):
    vectors = data.draw(hnp.arrays(np.float16, (n, 3), elements=HALVES))
    codes = data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, groups - 1)))
    found = group_sums(vectors, codes, groups)
    expected = [[math.fsum(vectors[codes == g, d].astype(float)) for d in range(3)] for g in range(groups)]
    np.testing.assert_array_equal(found.sums, expected)
    np.testing.assert_array_equal(found.counts, [(codes == g).sum() for g in range(groups)])


def test_group_sums_of_many_rows_equal_those_of_parts():
    rng = np.random.default_rng(0)
    vectors, codes = rng.uniform(-1, 1, (20_000, 4)).astype(np.float16), rng.integers(7, size=20_000)
    expected = [vectors[codes == g].astype(np.float64).sum(axis=0) for g in range(7)]
    np.testing.assert_array_equal(group_sums(vectors, codes, 7).sums, expected)


def test_chosen_rows_are_summed_and_the_others_are_not():
    vectors = np.eye(4, dtype=np.float16)
    found = group_sums(vectors, np.array([1, 0, 1]), 2, rows=np.array([3, 0, 3]))
    np.testing.assert_array_equal(found.sums, [[1, 0, 0, 0], [0, 0, 0, 2]])


def test_lengths_a_hair_above_one_are_rounding_and_more_is_refused():
    assert to_float16(np.array([[1.0000001]]), n=1)[0, 0] == 1
    with pytest.raises(InputError, match="vector 1"):
        to_float16(np.array([[1.0], [1.001]]), n=2)


def test_codes_follow_first_appearance():
    names, codes = group_codes(["b", "a", "b"])
    assert (names, codes.tolist()) == (["b", "a"], [0, 1, 0])


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 11)),
        st.tuples(st.just("vectors"), st.lists(st.integers(0, 11), max_size=6)),
        st.tuples(st.just("forget"), st.integers(0, 2)),
    ),
    max_size=25,
)


def review(k: int) -> Review:
    return Review(id=f"r{k}", user=f"u{k % 3}", item=f"i{k % 4}", text="")


@settings(max_examples=40, deadline=None)
@given(operations=OPERATIONS, vectors=hnp.arrays(np.float16, (12, 3), elements=HALVES))
def test_sums_are_those_of_the_vectors_after_any_changes(operations, vectors):
    present: dict[int, bool] = {}
    with TemporaryDirectory() as folder, SqlStore(f"{folder}/s.db") as store:
        for kind, argument in operations:
            if kind == "add":
                store.add([], [review(argument)])
                present.setdefault(argument, False)
            elif kind == "vectors":
                known = [k for k in argument if k in present]
                store.add_vectors([f"r{k}" for k in known], vectors[known], encoder="e")
                present.update(dict.fromkeys(known, True))
            else:
                store.forget(f"u{argument}")
                present = {k: v for k, v in present.items() if k % 3 != argument}
        if "e" not in store.encoders():
            return
        for user in ("u0", "nobody"):
            found = store.peer_sums([f"i{k}" for k in range(4)], exclude=user, encoder="e")
            for item in range(4):
                rows = [k for k, has in present.items() if has and k % 4 == item and f"u{k % 3}" != user]
                expected = np.array([math.fsum(vectors[rows, d].astype(float)) for d in range(3)])
                assert found.counts[item] == len(rows)
                assert found.sums[item].tobytes() == (expected + 0.0).tobytes()


def contents(store: SqlStore) -> list[tuple]:
    with store.reading() as connection:
        query = "SELECT item, encoder, count, sum FROM item_sums ORDER BY item"
        return [store.fingerprint(), store.counts(), *connection.exec_driver_sql(query).all()]


def test_adding_and_forgetting_a_user_is_the_identity_to_the_bit(store, reviews, vectors):
    before = contents(store)
    store.add([], [Review(id=f"x{k}", user="guest", item=f"i{k}", text="") for k in range(30)])
    store.add_vectors([f"x{k}" for k in range(30)], vectors(30, seed=5), encoder="e")
    assert contents(store) != before
    store.forget("guest")
    assert contents(store) == before
