from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from idiolect.prompts.tokenization import EncodedPrompt
from idiolect.softprompt.config import UserInputs, VectorInputs
from idiolect.training.examples import digest, make_example, with_sub_histories
from idiolect.types import VirtualToken


def inputs(k):
    return VectorInputs(stream=np.array([0]), entry=np.array([k]), vectors=np.full((1, 4), k, dtype=np.float32))


def user(n, query="tea"):
    return UserInputs(stream=np.array([1, 0]), history=np.arange(n, dtype=np.float32)[:, None], query=query)


def encoded(*virtual_tokens):
    return EncodedPrompt(
        ids=np.arange(10, dtype=np.int32),
        virtual_token_positions=np.arange(len(virtual_tokens), dtype=np.int64),
        virtual_tokens=virtual_tokens,
        virtual_token_indices=np.arange(len(virtual_tokens), dtype=np.int64),
        kept_entries=(0, 1, 2),
    )


TARGET = np.array([5, 6], dtype=np.int32)


def test_a_target_without_tokens_is_refused():
    with pytest.raises(ValueError, match="at least one token"):
        make_example(encoded(), TARGET[:0], inputs(0))


def test_digest_sees_every_field_and_the_order():
    one, other = (make_example(encoded(VirtualToken("his", k)), TARGET, inputs(k)) for k in (0, 1))
    asked, told = (make_example(encoded(), TARGET, user(2, query)) for query in ("tea", "mug"))
    found = ([one], [other], [one, other], [other, one], [asked], [told])
    assert len({digest(x) for x in found}) == len(found)
    assert digest([one]) == digest([make_example(encoded(VirtualToken("his", 0)), TARGET, inputs(0))])


class TestSubHistories:
    EXAMPLES: ClassVar = [make_example(encoded(), TARGET, user(n)) for n in (40, 3, 2, 0)]

    def test_each_lacks_at_least_one_review_and_at_most_half_and_one_and_keeps_their_order(self):
        found = with_sub_histories(self.EXAMPLES, 10, seed=0)
        sizes = [len(example.inputs.history) for example in found]
        assert sizes[10] == 40
        assert all(19 < size < 40 for size in sizes[:10])
        assert set(sizes[11:21]) <= {1, 2}
        assert sizes[21:] == [3, 2, 0]
        for example in found:
            rows = example.inputs.history[:, 0].tolist()
            assert rows == sorted(set(rows))

    def test_short_histories_and_n_0_are_left_as_they_are(self):
        assert with_sub_histories(self.EXAMPLES[2:], 10, seed=0) == self.EXAMPLES[2:]
        assert with_sub_histories(self.EXAMPLES, 0, seed=0) == self.EXAMPLES

    def test_the_seed_decides(self):
        first, again, other = (digest(with_sub_histories(self.EXAMPLES, 5, seed)) for seed in (1, 1, 2))
        assert first == again != other
