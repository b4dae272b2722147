"""Documents in batches of like length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from idiolect.training.documents import Document


class DocumentBatches(Dataset[dict[str, torch.Tensor]]):
    """Documents of like length in padded batches of about ``tokens_per_step`` tokens each.

    Args:
        docs: The documents.
        pad_id: The padding token.
        tokens: Tokens a batch, padding included.
        rng: Draws who shares a batch, and the order.
        answers_only: Predict nothing of the prompts.
    """

    def __init__(
        self,
        docs: Sequence[Document],
        *,
        pad_id: int,
        tokens: int,
        rng: np.random.Generator,
        answers_only: bool = False,
    ) -> None:
        self._docs, self._pad = [doc.ids for doc in docs], pad_id
        self._skip = [doc.prompt_length if answers_only else 0 for doc in docs]
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
        chosen = self._batches[index]
        docs = [self._docs[i] for i in chosen]
        longest = max(map(len, docs))
        ids = torch.full((len(docs), longest), self._pad)
        labels = torch.full((len(docs), longest), -100)
        for row, doc in enumerate(docs):
            tokens = torch.from_numpy(doc.astype(np.int64))
            ids[row, : len(doc)] = tokens
            # Padding tokens inside a document are slots: nothing to predict there.
            labels[row, : len(doc)] = torch.where(tokens == self._pad, -100, tokens)
            labels[row, : self._skip[chosen[row]]] = -100
        # Padding is on the right and attention causal, so no mask is needed (and the fast kernel can be used).
        return {"input_ids": ids, "labels": labels}
