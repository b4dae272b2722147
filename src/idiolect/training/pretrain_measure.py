"""What a pretraining run did: its size, its text, and how well it predicts documents it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from idiolect.training.batches import DocumentBatches
from idiolect.training.documents import Document
from idiolect.training.pretrain_config import PretrainReport


def measured(
    model: Any,
    train: Sequence[Document],
    held_out: Sequence[Document],
    batches: DocumentBatches,
    steps: int,
    seconds: float,
    pad_id: int,
) -> PretrainReport:
    """The report of a run whose model is in evaluation mode.

    Args:
        model: As trained.
        train: The documents it was trained on.
        held_out: Those it was not. A review asked for in them may still have been read, as history in a later document
            of its user, so the figure flatters; the study's are of other worlds.
        batches: How the documents were put together.
        steps: Optimiser steps.
        seconds: Of training.
        pad_id: Of the tokens that stand at slots, which nobody predicts.
    """
    perplexity, nats = _held_out(model, held_out, pad_id)
    return PretrainReport(
        parameters=sum(p.numel() for p in model.parameters()),
        documents=len(train),
        tokens_seen=int(sum(len(doc.ids) for doc in train) * steps / max(1, len(batches))),
        steps=steps,
        seconds=seconds,
        held_out_perplexity=perplexity,
        held_out_review_nats=nats,
    )


@torch.no_grad()
def _held_out(model: Any, docs: Sequence[Document], pad_id: int) -> tuple[float, float]:
    """Perplexity a token over whole documents, and mean nats of the review given its prompt."""
    total = tokens = 0.0
    reviews: list[float] = []
    for doc in docs:
        ids = torch.from_numpy(doc.ids.astype(np.int64)).to(model.device)
        nats = torch.nn.functional.cross_entropy(model(ids[None]).logits[0, :-1].float(), ids[1:], reduction="none")
        shown = ids[1:] != pad_id
        total += float(nats[shown].sum())
        tokens += float(shown.sum())
        reviews.append(float(nats[doc.prompt_length - 1 :].sum()))
    return math.exp(total / tokens), float(np.mean(reviews))
