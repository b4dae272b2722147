from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.training.documents import EncodedDocument
from idiolect.training.pretrain import DocumentBatches

PAD = 0


def batches(lengths, tokens, seed=0):
    """Document k repeats the id k + 1."""
    docs = [EncodedDocument(np.full(n, k + 1, dtype=np.int32), 1) for k, n in enumerate(lengths)]
    return DocumentBatches(docs, pad_id=PAD, tokens=tokens, rng=np.random.default_rng(seed))


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=40), tokens=st.integers(1, 300))
def test_every_document_stands_whole_in_one_batch(lengths, tokens):
    found = batches(lengths, tokens)
    rows = [row for k in range(len(found)) for row in found[k]["input_ids"]]
    kept = sorted((int(row[0]) - 1, int((row != PAD).sum())) for row in rows)
    assert kept == list(enumerate(lengths))


def test_a_batch_is_about_as_large_as_asked_and_hardly_padded():
    lengths = np.random.default_rng(0).integers(20, 400, 300)
    found = batches(lengths, 4000)
    sizes = [found[k]["input_ids"].numel() for k in range(len(found))]
    assert max(sizes) <= 4000 * 1.1
    assert sum(sizes) < 1.1 * lengths.sum()


def test_padding_and_virtual_tokens_are_not_to_be_predicted():
    docs = [
        EncodedDocument(np.array([5, PAD, 6], dtype=np.int32), 2),
        EncodedDocument(np.array([7], dtype=np.int32), 0),
    ]
    batch = DocumentBatches(docs, pad_id=PAD, tokens=100, rng=np.random.default_rng(0))[0]
    assert batch["labels"].tolist() == [[5, -100, 6], [7, -100, -100]]
    assert batch["input_ids"].dtype == torch.int64


def test_prompts_need_not_be_learned():
    docs = [
        EncodedDocument(np.array([5, 8, 6, 9], dtype=np.int32), 2),
        EncodedDocument(np.array([7, 7], dtype=np.int32), 1),
    ]
    found = DocumentBatches(docs, pad_id=PAD, tokens=100, rng=np.random.default_rng(0), answers_only=True)
    assert found[0]["labels"].tolist() == [[-100, -100, 6, 9], [-100, 7, -100, -100]]


def test_the_seed_decides_who_shares_a_batch():
    lengths = np.random.default_rng(0).integers(20, 60, 60)

    def company(seed):
        found = batches(lengths, 200, seed)
        return [frozenset(found[k]["input_ids"][:, 0].tolist()) for k in range(len(found))]

    assert company(0) == company(0)
    assert company(0) != company(1)


@pytest.mark.parametrize("tokens", [1, 10])
def test_a_document_longer_than_a_batch_is_a_batch(tokens):
    assert len(batches([50, 50], tokens)) == 2
