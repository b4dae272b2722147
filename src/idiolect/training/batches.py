"""Documents in batches of like length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from idiolect.training.documents import Document


class DocumentBatches(Dataset[dict[str, torch.Tensor]]):
    """Documents of like length in padded batches of about ``tokens_per_step`` tokens each."""

    def __init__(self, docs: Sequence[Document], *, pad_id: int, tokens: int, rng: np.random.Generator) -> None:
        self._docs, self._pad = [doc.ids for doc in docs], pad_id
        # Sorting on a blurred length keeps padding small without fixing who shares a batch with whom.
        blurred = np.array([len(doc.ids) for doc in docs]) * rng.uniform(0.95, 1.05, size=len(docs))
        order = np.argsort(blurred, kind="stable")[::-1]
        self._batches: list[np.ndarray] = []
        start = 0
        while start < len(order):
            longest = max(len(self._docs[i]) for i in order[start : start + 4])
            stop = start + max(1, tokens // longest)
            self._batches.append(order[start:stop])
            start = stop

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        docs = [self._docs[i] for i in self._batches[index]]
        longest = max(map(len, docs))
        ids = torch.full((len(docs), longest), self._pad)
        labels = torch.full((len(docs), longest), -100)
        for row, doc in enumerate(docs):
            tokens = torch.from_numpy(doc.astype(np.int64))
            ids[row, : len(doc)] = tokens
            # Padding tokens inside a document are slots: nothing to predict there.
            labels[row, : len(doc)] = torch.where(tokens == self._pad, -100, tokens)
        # Padding is on the right and attention causal, so no mask is needed (and the fast kernel can be used).
        return {"input_ids": ids, "labels": labels}
