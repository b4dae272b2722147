from __future__ import annotations

import numpy as np
import pytest

from idiolect.errors import ConfigError, NotFoundError
from idiolect.peers import InMemoryReviews
from idiolect.retrieval import RETRIEVERS, Retriever, make_retriever
from idiolect.types import Item, ItemId, Review, ReviewId, Sample, UserId

WORDS = ("drums", "guitar", "piano", "strings", "voice")
ITEMS = {ItemId(word): Item(id=ItemId(word), description=word) for word in WORDS}
PROFILE = [
    Review(id=ReviewId(f"r{k}"), user=UserId("u"), item=ItemId(word), text=word, timestamp=k, order=k)
    for k, word in enumerate(WORDS)
]
SAMPLE = Sample(user=UserId("u"), item=ItemId("piano"), title="piano")


class OneHot:
    """Encodes a text as which of WORDS it contains."""

    name = "one-hot"
    dim = len(WORDS)

    def encode(self, texts, *, batch_size=32):
        return np.array([[word in text for word in WORDS] for text in texts], dtype=np.float32)


ENCODER = OneHot()
READER = InMemoryReviews(
    ITEMS.values(),
    PROFILE,
    {review.id: ENCODER.encode([review.text])[0] for review in PROFILE},
    encoder=ENCODER.name,
)


@pytest.fixture(params=list(RETRIEVERS))
def retriever(request) -> Retriever:
    return make_retriever(request.param, seed=3, encoder=ENCODER, reader=READER)


class TestEveryRetriever:
    @pytest.mark.parametrize("k", [1, 2, 4])
    def test_returns_k_different_reviews_of_the_profile(self, retriever, k):
        found = retriever.retrieve(SAMPLE, PROFILE, ITEMS, k)
        assert len({review.id for review in found}) == k
        assert all(review in PROFILE for review in found)

    @pytest.mark.parametrize("k", [0, 5, 99])
    def test_zero_or_more_than_there_are_is_the_whole_profile(self, retriever, k):
        found = retriever.retrieve(SAMPLE, PROFILE, ITEMS, k)
        assert sorted(review.id for review in found) == sorted(review.id for review in PROFILE)

    def test_fewer_are_the_beginning_of_more(self, retriever):
        ranked = retriever.retrieve(SAMPLE, PROFILE, ITEMS, 0)
        assert retriever.retrieve(SAMPLE, PROFILE, ITEMS, 3) == ranked[:3]

    def test_an_empty_profile_gives_nothing(self, retriever):
        assert retriever.retrieve(SAMPLE, [], ITEMS, 8) == []
        assert retriever.retrieve(SAMPLE, [], ITEMS, 0) == []

    def test_repeats_itself_and_leaves_the_profile_alone(self, retriever):
        profile = list(PROFILE)
        assert retriever.retrieve(SAMPLE, profile, ITEMS, 3) == retriever.retrieve(SAMPLE, profile, ITEMS, 3)
        assert profile == PROFILE

    def test_texts_without_words_do_not_break_it(self, retriever):
        bare = {key: Item(id=key) for key in ITEMS}
        assert len(retriever.retrieve(Sample(user=UserId("u"), item=ItemId("piano")), PROFILE, bare, 2)) == 2


@pytest.mark.parametrize("name", ["bm25", "dense"])
def test_retrievers_that_read_the_sample_put_its_like_first(name):
    found = make_retriever(name, encoder=ENCODER, reader=READER).retrieve(SAMPLE, PROFILE, ITEMS, 1)
    assert found[0].item == "piano"


def test_recency_is_newest_first():
    found = make_retriever("recency").retrieve(SAMPLE, PROFILE, ITEMS, 2)
    assert [review.id for review in found] == ["r4", "r3"]


def test_dense_breaks_ties_by_the_later_entry():
    found = make_retriever("dense", encoder=ENCODER, reader=READER).retrieve(SAMPLE, PROFILE, ITEMS, 0)
    assert [review.id for review in found] == ["r2", "r4", "r3", "r1", "r0"]


def test_dense_says_which_review_has_no_vector():
    stranger = Review(id=ReviewId("new"), user=UserId("u"), item=ItemId("piano"), text="piano")
    with pytest.raises(NotFoundError, match="'new'"):
        make_retriever("dense", encoder=ENCODER, reader=READER).retrieve(SAMPLE, [stranger], ITEMS, 1)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'recency'"):
        make_retriever("recent")


def test_dense_without_an_encoder_is_refused_when_it_is_made():
    with pytest.raises(ConfigError, match="needs encoder"):
        make_retriever("dense", reader=READER)
