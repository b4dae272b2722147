from __future__ import annotations

import numpy as np
import pytest

from idiolect.context import Context, Entry
from idiolect.prompts.tokenization import EncodedPrompt
from idiolect.training.examples import digest, make_example
from idiolect.types import Item, ItemId, Review, ReviewId, Sample, UserId, VirtualToken


def entry(k, e_diff=True):
    review = Review(id=ReviewId(f"r{k}"), user=UserId("u"), item=ItemId(f"i{k}"), text="good")
    vector = np.full(4, k, dtype=np.float32)
    return Entry(review=review, item=Item(id=review.item), e_his=vector, e_diff=-vector if e_diff else None, n_peers=3)


CONTEXT = Context(
    sample=Sample(user=UserId("u"), item=ItemId("i")),
    item=Item(id=ItemId("i")),
    entries=(entry(1), entry(2, e_diff=False), entry(3)),
)


def encoded(*virtual_tokens):
    return EncodedPrompt(
        ids=np.arange(10, dtype=np.int32),
        virtual_token_positions=np.arange(len(virtual_tokens), dtype=np.int64),
        virtual_tokens=virtual_tokens,
        virtual_token_indices=np.arange(len(virtual_tokens), dtype=np.int64),
        kept_entries=(0, 1, 2),
    )


TARGET = np.array([5, 6], dtype=np.int32)


def test_vectors_are_those_of_the_virtual_tokens_entries_in_text_order():
    made = make_example(
        encoded(VirtualToken("his", 0), VirtualToken("diff", 0), VirtualToken("his", 1), VirtualToken("diff", 2)),
        TARGET,
        CONTEXT,
    )
    assert made.vectors[:, 0].tolist() == [1, -1, 2, -3]
    assert made.vectors.dtype == np.float32
    assert made.stream.tolist() == [0, 1, 0, 1]
    assert made.entry.tolist() == [0, 0, 1, 2]


def test_a_virtual_token_for_a_difference_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="entry 1 has no vector for a 'diff'"):
        make_example(encoded(VirtualToken("diff", 1)), TARGET, CONTEXT)


def test_a_target_without_tokens_is_refused():
    with pytest.raises(ValueError, match="at least one token"):
        make_example(encoded(), TARGET[:0], CONTEXT)


def test_digest_sees_every_field_and_the_order():
    one, other = (make_example(encoded(VirtualToken("his", k)), TARGET, CONTEXT) for k in (0, 1))
    names = {digest(x) for x in ([one], [other], [one, other], [other, one])}
    assert len(names) == 4
    assert digest([one]) == digest([make_example(encoded(VirtualToken("his", 0)), TARGET, CONTEXT)])
