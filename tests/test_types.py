from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from idiolect.types import Block, ItemId, Message, Moment, Prompt, Review, ReviewId, Sample, UserId, VirtualToken

REVIEW = Review(
    id=ReviewId("r1"), user=UserId("u"), item=ItemId("i"), text="Fine.", rating=4, title="ok", timestamp=1000, order=7
)


def test_moments_order_by_time_and_then_by_place() -> None:
    assert sorted([Moment(5, 0), Moment(1, 9), Moment(1, 2)]) == [Moment(1, 2), Moment(1, 9), Moment(5, 0)]


def test_without_timestamps_the_order_alone_decides() -> None:
    early, late = (Review(id=ReviewId(str(k)), user=UserId("u"), item=ItemId("i"), text="", order=k) for k in (1, 2))
    assert early.moment < late.moment
    assert late.moment < Moment(0, 0)


def test_the_sample_of_a_review_asks_for_it_and_stands_where_it_stands() -> None:
    sample = Sample.of(REVIEW)
    assert (sample.user, sample.item, sample.rating, sample.title) == ("u", "i", 4, "ok")
    assert (sample.reference, sample.target) == ("Fine.", "r1")
    assert sample.moment == REVIEW.moment == Moment(1000, 7)


def test_writing_for_real_has_no_moment() -> None:
    assert Sample(user=UserId("u"), item=ItemId("i"), timestamp=5).moment is None


def test_a_messages_text_leaves_virtual_tokens_out() -> None:
    message = Message(
        "user", (Block(("a ", VirtualToken("his", 0), "b")), Block((VirtualToken("diff", 0), " c"), entry=0))
    )
    assert message.text == "a b c"


def test_a_prompts_virtual_tokens_come_in_the_order_of_the_text() -> None:
    first = Message("system", (Block(("x",)),))
    second = Message(
        "user",
        (Block((VirtualToken("his", 1), VirtualToken("diff", 1)), entry=1), Block((VirtualToken("his", 0),), entry=0)),
    )
    assert Prompt((first, second)).virtual_tokens == (
        VirtualToken("his", 1),
        VirtualToken("diff", 1),
        VirtualToken("his", 0),
    )


def test_values_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        REVIEW.text = "other"
