"""Examples to a batch, padded on the left to its own longest row, so that every target ends at the last position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from idiolect.softprompt.model import IGNORED
from idiolect.training.examples import Example


@dataclass(frozen=True, slots=True)
class Collator:
    """Builds the arguments of ``SoftPromptModel.forward``."""

    pad_id: int
    """Any valid token id; padding is masked."""
    d_in: int
    """Width of the vectors."""

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """The batch of ``examples``, row k for ``examples[k]``, slots flat in the order of the rows."""
        rows = len(examples)
        ends = np.array([len(example.prompt) + len(example.target) for example in examples])
        width, n_labels = int(ends.max()), max(len(example.target) for example in examples)
        ids = np.full((rows, width), self.pad_id, dtype=np.int64)
        slot_mask = np.zeros((rows, width), dtype=bool)
        labels = np.full((rows, n_labels), IGNORED, dtype=np.int64)
        for row, example in enumerate(examples):
            start = width - ends[row]
            ids[row, start:] = np.concatenate([example.prompt, example.target])
            slot_mask[row, start + example.slot_positions] = True
            labels[row, n_labels - len(example.target) :] = example.target
        counts = [len(example.stream) for example in examples]
        no_vectors = np.zeros((0, self.d_in), dtype=np.float32)
        batch = {
            "input_ids": ids,
            "attention_mask": (np.arange(width) >= (width - ends)[:, None]).astype(np.int64),
            "slot_mask": slot_mask,
            "labels": labels,
            "slot_vectors": np.concatenate([no_vectors, *(e.vectors for e in examples if len(e.vectors))]),
            "slot_stream": np.concatenate([example.stream for example in examples]),
            "slot_entry": np.concatenate([example.entry for example in examples]),
            "slot_sample": np.repeat(np.arange(rows), counts),
        }
        return {name: torch.from_numpy(array) for name, array in batch.items()}
