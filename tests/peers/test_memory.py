from __future__ import annotations

import numpy as np
import pytest

from idiolect.errors import NotFoundError
from idiolect.peers import InMemoryReviews
from idiolect.types import Item, ItemId, Moment, Review, ReviewId, UserId


def review(name: str, user: str, item: str, time: int, order: int) -> Review:
    return Review(id=ReviewId(name), user=UserId(user), item=ItemId(item), text="", timestamp=time, order=order)


REVIEWS = [
    review("late", "ann", "x", 2, 0),
    review("early", "ann", "y", 1, 1),
    review("tied", "ann", "x", 1, 2),
    review("bobs", "bob", "x", 1, 3),
    review("bare", "cyd", "x", 1, 4),
]
VECTORS = {name: np.full(2, k / 8) for k, name in enumerate(["late", "early", "tied", "bobs"])}


@pytest.fixture
def reader() -> InMemoryReviews:
    return InMemoryReviews([Item(id=ItemId("x"))], REVIEWS, VECTORS, encoder="e")


def test_a_profile_is_oldest_first_by_time_then_order(reader):
    assert [found.id for found in reader.profile(UserId("ann"))] == ["early", "tied", "late"]


def test_a_profile_ends_strictly_before_the_moment(reader):
    assert [found.id for found in reader.profile(UserId("ann"), before=Moment(1, 2))] == ["early"]


def test_strangers_have_an_empty_profile(reader):
    assert reader.profile(UserId("nobody")) == []


def test_unknown_items_are_left_out(reader):
    assert list(reader.items([ItemId("x"), ItemId("?")])) == ["x"]


def test_vectors_come_in_the_order_asked_for(reader):
    assert reader.vectors(["tied", "late"], encoder="e").tolist() == [[0.25, 0.25], [0, 0]]
    assert reader.vectors([], encoder="e").shape == (0, 2)


@pytest.mark.parametrize(("name", "encoder"), [("bare", "e"), ("late", "other")])
def test_a_vector_that_is_not_there_is_named(reader, name, encoder):
    with pytest.raises(NotFoundError, match=name):
        reader.vectors([name], encoder=encoder)


def test_peer_sums_leave_out_the_user_and_those_without_vectors(reader):
    sums, counts = reader.peer_sums(["x", "y", "x"], exclude="ann", encoder="e")
    assert counts.tolist() == [1, 0, 1]
    assert sums.tolist() == [[0.375, 0.375], [0, 0], [0.375, 0.375]]
    assert reader.peer_sums(["x"], exclude="ann", encoder="e", before=1).counts.tolist() == [0]
