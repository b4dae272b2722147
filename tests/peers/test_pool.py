from __future__ import annotations

import pytest

from idiolect.errors import ConfigError
from idiolect.peers import InMemoryReviews, peers_of, time_cut
from idiolect.types import Item, ItemId, Review, ReviewId, Sample, UserId


def review(user: str, item: str, time: int, name: str = "") -> Review:
    return Review(
        id=ReviewId(name or f"{user}-{item}-{time}"),
        user=UserId(user),
        item=ItemId(item),
        text="",
        timestamp=time,
        order=time,
    )


OWN = [review("ann", "x", 5), review("ann", "x", 6), review("ann", "y", 7)]
OTHERS = [review("bob", "x", 4), review("bob", "x", 8), review("cyd", "x", 5), review("cyd", "z", 1)]


@pytest.fixture
def reader() -> InMemoryReviews:
    return InMemoryReviews([Item(id=ItemId(key)) for key in "xyz"], [*OWN, *OTHERS], {}, encoder="none")


def test_peers_are_the_others_on_the_item_oldest_first(reader):
    assert [peer.id for peer in peers_of(reader, OWN[0])] == ["bob-x-4", "cyd-x-5", "bob-x-8"]


def test_a_time_cut_is_strict(reader):
    assert [peer.id for peer in peers_of(reader, OWN[0], before=5)] == ["bob-x-4"]


def test_the_time_of_a_sample_is_its_cut():
    assert time_cut(Sample.of(OWN[0])) == 5


def test_writing_for_real_knows_everything():
    assert time_cut(Sample(user=UserId("ann"), item=ItemId("x"))) is None


def test_a_sample_without_a_timestamp_cannot_be_cut():
    timeless = Review(id=ReviewId("r"), user=UserId("ann"), item=ItemId("x"), text="", order=3)
    with pytest.raises(ConfigError, match="timestamps"):
        time_cut(Sample.of(timeless))
