"""What an adapter is fitted on: token ids, virtual tokens and vectors of one sample.

Examples to a batch, padded on the left to its own longest row, so that every target ends at the last position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from idiolect.context import Context
from idiolect.softprompt.config import stream_ids
from idiolect.softprompt.model import IGNORED

if TYPE_CHECKING:
    from idiolect.prompts.tokenization import EncodedPrompt


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Example:
    """A prompt with virtual tokens and the text that should follow it."""

    prompt: np.ndarray
    """int32 (n,)"""
    target: np.ndarray
    """int32 (t,): the reference with the end-of-turn token."""
    virtual_token_positions: np.ndarray
    """int (s,): indices into ``prompt``, ascending."""
    stream: np.ndarray
    """int64 (s,): 0 his, 1 diff."""
    entry: np.ndarray
    """int64 (s,): index of the history entry."""
    vectors: np.ndarray
    """float32 (s, d_in): ``e_his`` or ``e_diff`` of the entry; (0, 0) for a prompt without virtual tokens."""


def make_example(encoded: EncodedPrompt, reference_ids: np.ndarray, context: Context) -> Example:
    """The example of one sample; its vectors are those of the entries whose virtual tokens fitted the prompt.

    Args:
        encoded: The prompt's ids and the virtual tokens that were kept.
        reference_ids: int32 (t,), what the user wrote, end-of-turn token included.
        context: Where the virtual tokens' vectors come from.

    Raises:
        ValueError: A virtual token asks for a difference that the context does not have, or there is no target.
    """
    if not len(reference_ids):
        raise ValueError("an example needs a target of at least one token")
    vectors = [context.vector(token) for token in encoded.virtual_tokens]
    return Example(
        prompt=encoded.ids,
        target=reference_ids,
        virtual_token_positions=encoded.virtual_token_positions,
        stream=stream_ids(encoded.virtual_tokens),
        entry=np.array([token.entry for token in encoded.virtual_tokens], dtype=np.int64),
        vectors=np.stack(vectors).astype(np.float32) if vectors else np.zeros((0, 0), dtype=np.float32),
    )


def digest(examples: Sequence[Example]) -> str:
    """A name for exactly these examples in this order, so that a fit is never resumed on others."""
    state = hashlib.blake2b(digest_size=16)
    for example in examples:
        for array in (example.prompt, example.target, example.virtual_token_positions, example.stream, example.vectors):
            state.update(np.int64(array.size).tobytes())
            state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()


@dataclass(frozen=True, slots=True)
class Collator:
    """Builds the arguments of ``SoftPromptModel.forward``."""

    pad_id: int
    """Any valid token id; padding is masked."""
    d_in: int
    """Width of the vectors."""

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """The batch of ``examples``, row k for ``examples[k]``, virtual tokens flat in the order of the rows."""
        rows = len(examples)
        ends = np.array([len(example.prompt) + len(example.target) for example in examples])
        width, n_labels = int(ends.max()), max(len(example.target) for example in examples)
        ids = np.full((rows, width), self.pad_id, dtype=np.int64)
        virtual_token_mask = np.zeros((rows, width), dtype=bool)
        labels = np.full((rows, n_labels), IGNORED, dtype=np.int64)
        for row, example in enumerate(examples):
            start = width - ends[row]
            ids[row, start:] = np.concatenate([example.prompt, example.target])
            virtual_token_mask[row, start + example.virtual_token_positions] = True
            labels[row, n_labels - len(example.target) :] = example.target
        counts = [len(example.stream) for example in examples]
        no_vectors = np.zeros((0, self.d_in), dtype=np.float32)
        batch = {
            "input_ids": ids,
            "attention_mask": (np.arange(width) >= (width - ends)[:, None]).astype(np.int64),
            "virtual_token_mask": virtual_token_mask,
            "labels": labels,
            "vectors": np.concatenate([no_vectors, *(e.vectors for e in examples if len(e.vectors))]),
            "stream": np.concatenate([example.stream for example in examples]),
            "entry": np.concatenate([example.entry for example in examples]),
            "sample": np.repeat(np.arange(rows), counts),
        }
        return {name: torch.from_numpy(array) for name, array in batch.items()}
