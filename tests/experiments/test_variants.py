"""What stands in for the difference is wrong in that, and in nothing else."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from idiolect.context import Context, ContextBuilder, ContextConfig
from idiolect.errors import ConfigError, InputError
from idiolect.methods.controls import HisTwice, ShuffledPeers, with_vectors
from idiolect.peers import InMemoryReviews
from idiolect.types import Item, ItemId, Review, ReviewId, Sample, UserId

# "alone" has no peers; "rare" is the only item of its category; "new" is what is written about.
CATEGORY = {"b1": "book", "b2": "book", "b3": "book", "new": "book", "alone": "book", "rare": "beer"}
ITEMS = [Item(id=ItemId(key), category=category) for key, category in CATEGORY.items()]
WROTE = {
    "ann": ["b1", "b2", "alone", "rare"],
    "bob": ["b1", "b2", "b3", "new", "rare"],
    "cyd": ["b1", "b3", "new", "rare"],
    "dan": ["b2", "b3", "new"],
}


def review(user: str, item: str, order: int) -> Review:
    return Review(
        id=ReviewId(f"{user}-{item}"), user=UserId(user), item=ItemId(item), text="t", timestamp=order, order=order
    )


REVIEWS = [review(user, item, order) for user, items in WROTE.items() for order, item in enumerate(items)]
VECTOR = dict(zip((r.id for r in REVIEWS), np.random.default_rng(0).uniform(-1, 1, (len(REVIEWS), 5)), strict=True))
ANNS = Sample(user=UserId("ann"), item=ItemId("new"), timestamp=9, order=9)


def builder(reviews: list[Review] = REVIEWS, **settings) -> ContextBuilder:
    vectors = {r.id: VECTOR[r.id].astype(np.float16) for r in reviews}
    return ContextBuilder(
        InMemoryReviews(ITEMS, reviews, vectors, encoder="e"), ContextConfig(k=0, **settings), encoder="e"
    )


def shuffled(seed: int, samples: list[Sample] | None = None, **settings) -> list[Context]:
    return ShuffledPeers(builder(**settings), lambda: ITEMS, seed=seed).build(samples or [ANNS])


def crowd_of(context: Context, item: str) -> str:
    """The item whose peers an entry is compared with."""
    entry = next(entry for entry in context.entries if entry.review.item == item)
    for other in CATEGORY:
        peers = [VECTOR[r.id].astype(np.float16) for r in REVIEWS if r.item == other and r.user != entry.review.user]
        if peers and np.allclose(entry.e_his - np.mean(peers, axis=0, dtype=np.float64), entry.e_diff, atol=1e-5):
            assert entry.n_peers == len(peers)
            return other
    raise AssertionError("the difference is to no item's peers")


@pytest.mark.parametrize("seed", range(10))
def test_the_wrong_crowd_is_of_another_item_of_the_category_and_never_the_one_written_about(seed: int) -> None:
    (context,) = shuffled(seed)
    assert crowd_of(context, "b1") in {"b2", "b3"}
    assert crowd_of(context, "b2") in {"b1", "b3"}
    assert crowd_of(context, "rare") in {"b1", "b2", "b3"}


def test_every_crowd_has_its_turn() -> None:
    assert {crowd_of(shuffled(seed)[0], "b1") for seed in range(20)} == {"b2", "b3"}


@pytest.mark.parametrize("vectors", ["shuffled_peers", "his_twice"])
def test_text_own_vectors_and_virtual_tokens_stay(vectors) -> None:
    (right,) = builder().build([ANNS])
    (wrong,) = with_vectors(builder(), vectors, catalogue=lambda: ITEMS, seed=0).build([ANNS])
    assert (wrong.sample, wrong.item) == (right.sample, right.item)
    for was, entry in zip(right.entries, wrong.entries, strict=True):
        assert entry.review == was.review
        np.testing.assert_array_equal(entry.e_his, was.e_his)
        assert (entry.e_diff is None) == (was.e_diff is None) == (entry.review.item == "alone")
        assert entry.e_diff is None or not np.allclose(entry.e_diff, was.e_diff)


def test_a_review_meets_the_same_crowd_whatever_it_is_built_with() -> None:
    bobs = Sample(user=UserId("bob"), item=ItemId("new"), timestamp=9, order=9)
    (alone,), (_, beside) = shuffled(4), shuffled(4, [bobs, ANNS])
    for one, other in zip(alone.entries, beside.entries, strict=True):
        np.testing.assert_array_equal(one.e_diff, other.e_diff)


@pytest.mark.parametrize("weighting", ["mean", "profile_distance"])
def test_crowds_obey_the_rules_of_the_right_comparison(weighting) -> None:
    (context,) = shuffled(1, peers_before=True, peer_weighting=weighting, min_peers=2)
    compared = [entry for entry in context.entries if entry.e_diff is not None]
    assert compared
    assert all(entry.n_peers >= 2 for entry in compared)


def test_his_twice_has_its_own_vector_where_the_difference_was() -> None:
    (context,) = HisTwice(builder()).build([ANNS])
    for entry in context.entries:
        assert entry.e_diff is None if entry.review.item == "alone" else entry.e_diff is entry.e_his


def test_right_vectors_come_from_the_builder_itself() -> None:
    contexts = builder()
    assert with_vectors(contexts, "right", catalogue=lambda: pytest.fail("read"), seed=0) is contexts


def test_one_item_alone_has_no_other_crowd() -> None:
    few = [r for r in REVIEWS if r.item == "b1"]
    source = ShuffledPeers(builder(few), lambda: ITEMS, seed=0)
    with pytest.raises(InputError, match="several items have peers"):
        source.build([ANNS])


def test_seeds_decide_the_crowds() -> None:
    drawn = [crowd_of(shuffled(seed)[0], "b1") for seed in (*range(12), *range(12))]
    assert drawn[:12] == drawn[12:]
    assert len(list(itertools.groupby(drawn))) > 2


def test_shuffled_peers_refuse_contexts_without_vectors() -> None:
    contexts = ContextBuilder(InMemoryReviews(ITEMS, REVIEWS, {}, encoder="e"), ContextConfig(), encoder=None)
    with pytest.raises(ConfigError, match="need vectors"):
        ShuffledPeers(contexts, lambda: ITEMS, seed=0)
