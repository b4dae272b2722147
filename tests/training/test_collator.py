from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.config import AdapterConfig, VectorInputs
from idiolect.softprompt.model import IGNORED
from idiolect.training.examples import Collator, Example

PAD = 0
ADAPTER = Adapter(AdapterConfig(d_in=3, hidden_size=4))


def example(length, target, virtual_tokens, seed):
    rng = np.random.default_rng(seed)
    return Example(
        prompt=rng.integers(1, 50, length).astype(np.int32),
        target=rng.integers(1, 50, target).astype(np.int32),
        virtual_token_positions=np.sort(rng.choice(length, min(virtual_tokens, length), replace=False)),
        inputs=VectorInputs(
            stream=rng.integers(0, 2, min(virtual_tokens, length)),
            entry=rng.integers(0, 4, min(virtual_tokens, length)),
            vectors=rng.normal(size=(min(virtual_tokens, length), 3)).astype(np.float32),
        ),
    )


examples = st.lists(
    st.builds(example, st.integers(1, 9), st.integers(1, 5), st.integers(0, 4), st.integers(0, 99)), min_size=1
)


@given(examples)
def test_every_example_can_be_read_back_from_its_batch(batch_of):
    batch = {name: tensor.numpy() for name, tensor in Collator(PAD, ADAPTER.collate)(batch_of).items()}
    width = max(len(e.prompt) + len(e.target) for e in batch_of)
    assert batch["input_ids"].shape == (len(batch_of), width)
    for row, e in enumerate(batch_of):
        real = batch["attention_mask"][row].astype(bool)
        text = np.concatenate([e.prompt, e.target])
        np.testing.assert_array_equal(batch["input_ids"][row][real], text)
        assert real[-len(text) :].all()
        labels = batch["labels"][row]
        np.testing.assert_array_equal(labels[labels != IGNORED], e.target)
        np.testing.assert_array_equal(labels[-len(e.target) :], e.target)
        np.testing.assert_array_equal(
            np.flatnonzero(batch["virtual_token_mask"][row]) - (width - len(text)), e.virtual_token_positions
        )
        mine = batch["sample"] == row
        np.testing.assert_array_equal(batch["vectors"][mine], e.inputs.vectors)
        np.testing.assert_array_equal(batch["stream"][mine], e.inputs.stream)
        np.testing.assert_array_equal(batch["entry"][mine], e.inputs.entry)


@given(examples)
def test_padding_goes_no_further_than_the_longest_row(batch_of):
    batch = Collator(PAD, ADAPTER.collate)(batch_of)
    assert batch["attention_mask"][:, 0].any()
    assert (batch["labels"][:, 0] != IGNORED).any()
