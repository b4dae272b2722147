"""Several batches stored with the statements of one: the same store and reports as one after another."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review

_ITEMS = st.builds(Item, id=st.sampled_from("xyz"), title=st.sampled_from(["", "T"]), category=st.sampled_from("ab"))
_REVIEWS = st.builds(
    Review,
    id=st.sampled_from([f"r{n}" for n in range(6)]),
    user=st.sampled_from(["ann", "bob"]),
    item=st.sampled_from("xyz"),
    text=st.sampled_from(["One.", "Two.", "\ud800"]),  # the last cannot be stored
)
_BATCHES = st.lists(st.tuples(st.lists(_ITEMS, max_size=3), st.lists(_REVIEWS, max_size=4)), min_size=1, max_size=4)


@given(_BATCHES)
@settings(max_examples=40, deadline=None)
def test_batches_together_are_batches_one_after_another(tmp_path_factory, batches):
    n = sum(len(reviews) for _, reviews in batches)
    rows = np.random.default_rng(0).uniform(-1, 1, (n, 4)).astype(np.float16)
    folder = tmp_path_factory.mktemp("together")
    with SqlStore(folder / "one.db") as one, SqlStore(folder / "other.db") as other:
        found = one.add_many(batches, {"e": rows})
        for items, _ in batches:
            other.add(items, [])
        wanted, start = [], 0
        for (_, reviews), report in zip(batches, found, strict=True):
            for row, review in enumerate(reviews, start):
                added = other.add([], [review], {"e": rows[row : row + 1]})
                wanted.append((added.reviews_added, added.reviews_known, *(id for id, _ in added.refused_reviews)))
            mine = wanted[start:]
            start += len(reviews)
            assert report.reviews_added == sum(one[0] for one in mine)
            assert report.reviews_known == sum(one[1] for one in mine)
            assert [id for id, _ in report.refused_reviews] == [id for *_, id in mine if isinstance(id, str)]
        assert one.fingerprint() == other.fingerprint()
        assert one.counts() == other.counts()
        stored = sorted({review.id for user in one.users() for review in one.profile(user)})
        if stored:
            np.testing.assert_array_equal(one.vectors(stored, encoder="e"), other.vectors(stored, encoder="e"))
        for store in (one, other):
            assert [finding.detail for finding in store.check() if not finding.ok] == []
