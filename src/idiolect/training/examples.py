"""Training examples of adapters: token ids, virtual tokens and adapter inputs; and their collation into batches.

A batch is padded on the left to its longest row, so that every target ends at the last position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from idiolect.softprompt.config import Inputs
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
    inputs: Any
    """The adapter's inputs (``softprompt.config.Inputs``)."""


def make_example(encoded: EncodedPrompt, reference_ids: np.ndarray, inputs: Inputs) -> Example:
    """The example of one sample.

    Args:
        encoded: The prompt's ids and the virtual tokens that were kept.
        reference_ids: int32 (t,), the user's text with the end-of-turn token.
        inputs: The adapter's inputs for these virtual tokens.

    Raises:
        ValueError: There is no target.
    """
    if not len(reference_ids):
        raise ValueError("an example needs a target of at least one token")
    return Example(
        prompt=encoded.ids,
        target=reference_ids,
        virtual_token_positions=encoded.virtual_token_positions,
        inputs=inputs,
    )


def with_sub_histories(examples: Sequence[Example], n: int, seed: int) -> list[Example]:
    """Each example after ``n`` copies with a random part of the user's history (PPlug's augmentation).

    A part lacks 1 + floor(u * length) past reviews, u uniform in [0, 0.5), as in the authors' program. Histories of
    fewer than three reviews have no parts. An example's parts depend on ``seed`` and its index only.

    Args:
        examples: With ``UserInputs``.
        n: Parts per example.
        seed: Seed of the draws.
    """
    found: list[Example] = []
    for place, example in enumerate(examples):
        length, rng = len(example.inputs.history), np.random.default_rng([seed, place])
        for _ in range(n if length > 2 else 0):
            kept = length - int(length * rng.uniform(0, 0.5)) - 1
            rows = np.sort(rng.choice(length, kept, replace=False))
            found.append(replace(example, inputs=replace(example.inputs, history=example.inputs.history[rows])))
        found.append(example)
    return found


def digest(examples: Sequence[Example]) -> str:
    """A digest of the examples in this order, so that a fit is not resumed with others."""
    state = hashlib.blake2b(digest_size=16)
    for example in examples:
        own = (example.prompt, example.target, example.virtual_token_positions)
        for array in (*own, *example.inputs.arrays()):
            state.update(np.int64(array.size).tobytes())
            state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()


@dataclass(frozen=True, slots=True)
class Collator:
    """Builds the arguments of ``SoftPromptModel.forward``."""

    pad_id: int
    """Any valid token id; padding is masked."""
    collate: Callable[[Sequence[Any]], dict[str, Tensor]]
    """The adapter's ``collate``."""
    split_prefix: bool = False
    """Split the tokens before a row's first virtual token from the rest (see ``softprompt.prefix``)."""

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """The batch of ``examples``, row k for ``examples[k]``, virtual tokens flat in the order of the rows."""
        inputs = self.collate([example.inputs for example in examples])
        prefixes = [example.prompt[: _prefix_length(example)] for example in examples] if self.split_prefix else []
        if not any(map(len, prefixes)):
            return self._text(examples) | inputs
        rest = [_without(example, len(prefix)) for example, prefix in zip(examples, prefixes, strict=True)]
        return self._prefixes(prefixes) | self._text(rest) | inputs

    def _prefixes(self, prefixes: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """``prefix_ids`` and ``prefix_mask`` (B, P), padded on the left, and ``prefix_name`` (B,)."""
        lengths = np.array([len(prefix) for prefix in prefixes])
        width = int(lengths.max())
        ids = np.full((len(prefixes), width), self.pad_id, dtype=np.int64)
        for row, prefix in enumerate(prefixes):
            ids[row, width - len(prefix) :] = prefix
        hashes = [hashlib.blake2b(np.ascontiguousarray(one).tobytes(), digest_size=8).digest() for one in prefixes]
        arrays = {
            "prefix_ids": ids,
            "prefix_mask": (np.arange(width) >= (width - lengths)[:, None]).astype(np.int64),
            "prefix_name": np.frombuffer(b"".join(hashes), dtype=np.int64).copy(),
        }
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _text(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Ids, masks and labels."""
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
        batch = {
            "input_ids": ids,
            "attention_mask": (np.arange(width) >= (width - ends)[:, None]).astype(np.int64),
            "virtual_token_mask": virtual_token_mask,
            "labels": labels,
        }
        return {name: torch.from_numpy(array) for name, array in batch.items()}


def _prefix_length(example: Example) -> int:
    """Tokens before the first virtual token; the prompt's last token stays, which predicts the target's first."""
    last = len(example.prompt) - 1
    positions = example.virtual_token_positions
    return min(int(positions[0]), last) if len(positions) else last


def _without(example: Example, n: int) -> Example:
    """The example without the first ``n`` tokens of its prompt."""
    positions = example.virtual_token_positions - n
    return replace(example, prompt=example.prompt[n:], virtual_token_positions=positions)
