from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.context import ContextBuilder, ContextConfig
from idiolect.difference.latent import weighted_difference
from idiolect.errors import ConfigError, NotFoundError
from idiolect.peers import InMemoryReviews
from idiolect.types import Item, ItemId, Review, ReviewId, Sample, UserId, VirtualToken

DIM = 4


def vector_of(name: str) -> np.ndarray:
    """A vector that no other review has: the name tells which review an embedding is of."""
    seed = int.from_bytes(name.encode(), "big")
    return np.random.default_rng(seed).uniform(-1, 1, DIM).astype(np.float16)


def review(user: str, item: str, time: int | None, order: int) -> Review:
    name = f"{user}{order}"
    return Review(
        id=ReviewId(name), user=UserId(user), item=ItemId(item), text=f"text of {name}", timestamp=time, order=order
    )


def reader_of(reviews: list[Review]) -> InMemoryReviews:
    items = [Item(id=ItemId(key), title=f"title of {key}", description=f"about {key}") for key in "vwxyz"]
    return InMemoryReviews(items, reviews, {found.id: vector_of(found.id) for found in reviews}, encoder="e")


def builder_of(reviews: list[Review], **settings) -> ContextBuilder:
    return ContextBuilder(reader_of(reviews), ContextConfig(**settings), encoder="e")


# Days, not seconds, as in the papers' data: ties everywhere. "w" has no peers, and is neither oldest nor newest.
ANNS = [
    review("ann", "x", 1, 0),
    review("ann", "y", 2, 1),
    review("ann", "w", 2, 2),
    review("ann", "x", 2, 3),
    review("ann", "z", 3, 4),
    review("ann", "v", 3, 5),
]
OTHERS = [
    review("bob", "x", 1, 6),
    review("cyd", "x", 3, 7),
    review("bob", "y", 2, 8),
    review("cyd", "z", 2, 9),
    review("bob", "z", 4, 10),
    review("bob", "v", 1, 11),
]
WORLD = [*ANNS, *OTHERS]
TARGET = Sample.of(ANNS[-1])


def ids(context) -> list[str]:
    return [entry.review.id for entry in context.entries]


def test_history_ends_before_the_sample_even_within_its_day():
    (context,) = builder_of(WORLD).build([TARGET])
    assert ids(context) == ["ann4", "ann3", "ann2", "ann1", "ann0"]


def test_writing_for_real_sees_everything():
    (context,) = builder_of(WORLD).build([Sample(user=UserId("ann"), item=ItemId("w"))])
    assert ids(context) == ["ann5", "ann4", "ann3", "ann2", "ann1", "ann0"]


def test_k_bounds_the_entries_and_zero_does_not():
    assert len(builder_of(WORLD, k=2).build([TARGET])[0].entries) == 2
    assert len(builder_of(WORLD, k=0).build([TARGET])[0].entries) == 5


def test_no_virtual_token_mixes_two_reviews():
    (context,) = builder_of(WORLD).build([TARGET])
    for entry in context.entries:
        assert entry.review.text == f"text of {entry.review.id}"
        assert entry.e_his.dtype == np.float32
        assert (entry.e_his == vector_of(entry.review.id)).all()
        assert entry.item.id == entry.review.item
        peers = [vector_of(other.id) for other in OTHERS if other.item == entry.review.item]
        assert entry.n_peers == len(peers)
        if peers:
            expected = vector_of(entry.review.id) - np.mean(peers, axis=0, dtype=np.float64)
            np.testing.assert_allclose(entry.e_diff, expected, atol=1e-6)
        else:
            assert entry.e_diff is None


def test_an_entry_below_min_peers_keeps_its_place_and_its_own_vector():
    (context,) = builder_of(WORLD, min_peers=2).build([TARGET])
    assert ids(context) == ["ann4", "ann3", "ann2", "ann1", "ann0"]
    assert [entry.e_diff is not None for entry in context.entries] == [True, True, False, False, True]
    assert all(entry.e_his is not None for entry in context.entries)


@pytest.mark.parametrize("weighting", ["mean", "profile_distance"])
def test_a_peer_who_wrote_twice_is_one_peer(weighting):
    rows = [("ann", "x"), ("ann", "y"), ("bob", "x"), ("bob", "x"), ("bob", "y"), ("cyd", "y")]
    world = [review(user, item, k, k) for k, (user, item) in enumerate(rows)]
    sample = Sample(user="ann", item="z")
    (context,) = builder_of(world, min_peers=2, peer_weighting=weighting).build([sample])
    assert {entry.review.item: entry.n_peers for entry in context.entries} == {"x": 0, "y": 2}
    assert {entry.review.item: entry.e_diff is not None for entry in context.entries} == {"x": False, "y": True}
    (context,) = builder_of(world, min_peers=1, peer_weighting=weighting).build([sample])
    assert {entry.review.item: entry.n_peers for entry in context.entries} == {"x": 2, "y": 2}


def test_a_time_cut_drops_peers_at_or_after_the_samples_day():
    (context,) = builder_of(WORLD, peers_before=True).build([TARGET])
    assert [entry.n_peers for entry in context.entries] == [1, 1, 0, 1, 1]
    np.testing.assert_allclose(context.entries[0].e_diff, vector_of("ann4") - vector_of("cyd9"), atol=1e-3)


def test_a_time_cut_without_timestamps_is_refused():
    timeless = [review("ann", "x", None, 0), review("ann", "y", None, 1), review("bob", "x", None, 2)]
    sample = Sample.of(timeless[1])
    assert ids(builder_of(timeless).build([sample])[0]) == ["ann0"]
    with pytest.raises(ConfigError, match="timestamps"):
        builder_of(timeless, peers_before=True).build([sample])


def test_a_user_without_history_has_no_entries():
    samples = [Sample(user=UserId("new"), item=ItemId("x")), Sample.of(ANNS[0])]
    contexts = builder_of(WORLD).build(samples)
    assert [context.entries for context in contexts] == [(), ()]
    assert contexts[0].item.title == "title of x"


def test_past_vectors_are_the_latest_reviews_oldest_first_before_the_sample():
    samples = [TARGET, Sample.of(ANNS[1]), Sample(user=UserId("nobody"), item=ItemId("w"))]
    found = ContextBuilder(reader_of(WORLD), ContextConfig(k=1), encoder="e", past=3).build(samples)
    assert [context.past.reviews for context in found] == [("ann2", "ann3", "ann4"), ("ann0",), ()]
    for context in found[:2]:
        expected = [vector_of(id).astype(np.float32) for id in context.past.reviews]
        np.testing.assert_array_equal(context.past.vectors, expected)
    assert builder_of(WORLD).build([TARGET])[0].past.reviews == ()


def test_no_samples_give_no_contexts():
    assert builder_of(WORLD).build([]) == []


def test_many_samples_at_once_are_as_one_by_one():
    builder = builder_of(WORLD, retriever="random")
    samples = [Sample.of(found) for found in WORLD]
    together = builder.build(samples)
    for sample, context in zip(samples, together, strict=True):
        (alone,) = builder.build([sample])
        assert context.sample is sample
        assert ids(context) == ids(alone)
        for one, other in zip(context.entries, alone.entries, strict=True):
            np.testing.assert_array_equal(one.e_his, other.e_his)
            np.testing.assert_array_equal(one.e_diff, other.e_diff)


def test_an_item_without_a_record_is_known_by_its_id():
    reader = InMemoryReviews([], WORLD, {found.id: vector_of(found.id) for found in WORLD}, encoder="e")
    sample = Sample(user=UserId("ann"), item=ItemId("nowhere"))
    (context,) = ContextBuilder(reader, ContextConfig(), encoder="e").build([sample])
    assert context.item == Item(id=ItemId("nowhere"))
    assert [entry.item for entry in context.entries] == [Item(id=entry.review.item) for entry in context.entries]
    assert len(context.entries) == len(ANNS)


def test_a_history_review_without_a_vector_is_named():
    reader = InMemoryReviews([Item(id=ItemId("x"))], ANNS[:1], {}, encoder="e")
    with pytest.raises(NotFoundError, match="ann0"):
        ContextBuilder(reader, ContextConfig(), encoder="e").build([Sample(user=UserId("ann"), item=ItemId("x"))])


def test_text_alone_needs_no_vector_and_chooses_the_same_reviews():
    reader = InMemoryReviews([], WORLD, {}, encoder="e")
    (context,) = ContextBuilder(reader, ContextConfig(k=3), encoder=None).build([TARGET])
    (whole,) = builder_of(WORLD, k=3).build([TARGET])
    assert ids(context) == ids(whole)
    assert [entry.peer_scope for entry in context.entries] == ["none"] * 3
    for stream in ("his", "diff"):
        with pytest.raises(ValueError, match="has no vector"):
            context.vector(VirtualToken(stream, 0))


def test_profile_distance_weighs_peers_by_their_visible_histories():
    (context,) = builder_of(WORLD, peer_weighting="profile_distance").build([TARGET])

    def mean(user: str, reviews: list[Review]) -> np.ndarray:
        return np.mean([vector_of(found.id) for found in reviews if found.user == user], axis=0, dtype=np.float64)

    mine = mean("ann", ANNS[:-1])
    distances = np.array([np.linalg.norm(mean(user, WORLD) - mine) for user in ("bob", "cyd")])
    peers = np.array([vector_of("bob6"), vector_of("cyd7")])
    expected = weighted_difference(vector_of("ann3").astype(np.float64), peers, distances)
    np.testing.assert_allclose(context.entries[1].e_diff, expected, atol=1e-6)
    assert context.entries[2].e_diff is None


def test_profile_distance_with_a_time_cut_knows_only_earlier_peers():
    (context,) = builder_of(WORLD, peer_weighting="profile_distance", peers_before=True).build([TARGET])
    assert [entry.n_peers for entry in context.entries] == [1, 1, 0, 1, 1]
    np.testing.assert_allclose(context.entries[0].e_diff, vector_of("ann4") - vector_of("cyd9"), atol=1e-3)


def test_a_peers_review_without_a_time_is_not_taken_for_an_early_one():
    world = [*WORLD, review("cyd", "x", 1, 12)]
    undated = review("cyd", "v", None, 13)
    (context,) = builder_of([*world, undated], peer_weighting="profile_distance", peers_before=True).build([TARGET])
    (plain,) = builder_of(world, peer_weighting="profile_distance", peers_before=True).build([TARGET])
    for entry, same in zip(context.entries, plain.entries, strict=True):
        assert entry.n_peers == same.n_peers
        np.testing.assert_array_equal(entry.e_diff, same.e_diff)
    assert max(entry.n_peers for entry in plain.entries) == 2


def test_a_given_retriever_is_used():
    class Oldest:
        def retrieve(self, sample, profile, items, k):
            return list(profile[:k])

    builder = ContextBuilder(reader_of(WORLD), ContextConfig(k=2), encoder="e", retriever=Oldest())
    assert ids(builder.build([TARGET])[0]) == ["ann0", "ann1"]


@pytest.mark.parametrize("wrong", [{"k": -1}, {"min_peers": 0}, {"cold_start": "mean"}, {"kk": 1}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ContextConfig(**wrong)


@st.composite
def worlds(draw) -> list[Review]:
    rows = draw(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("vwxyz"), st.integers(0, 3)), max_size=25))
    return [review(user, item, time, order) for order, (user, item, time) in enumerate(rows)]


@settings(deadline=None, max_examples=50)
@given(world=worlds(), weighting=st.sampled_from(["mean", "profile_distance"]), cut=st.booleans())
def test_in_any_world_history_is_the_users_past_and_peers_are_others(world, weighting, cut):
    builder = builder_of(world, k=0, peers_before=cut, peer_weighting=weighting)
    for sample, context in zip(
        map(Sample.of, world), builder.build([Sample.of(found) for found in world]), strict=True
    ):
        assert ids(context) == [
            found.id
            for found in sorted(world, key=lambda found: found.moment, reverse=True)
            if found.user == sample.user and found.moment < sample.moment
        ]
        for entry in context.entries:
            peers = [
                found
                for found in world
                if found.item == entry.review.item
                and found.user != sample.user
                and (not cut or found.timestamp < sample.timestamp)
            ]
            assert entry.n_peers == len(peers)
            assert (entry.e_diff is None) == (not peers)
            if peers:
                away = entry.e_his - np.array([vector_of(found.id) for found in peers], dtype=np.float32)
                assert (entry.e_diff <= away.max(axis=0) + 1e-5).all()
                assert (entry.e_diff >= away.min(axis=0) - 1e-5).all()
