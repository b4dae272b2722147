from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.softprompt.sae import Groups, VirtualTokenBatch, code_stats, reconstruction_loss, sparsity_loss


def virtual_tokens(stream, sample, d=6, n_samples=None):
    stream, sample = (torch.tensor(x, dtype=torch.int64) for x in (stream, sample))
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(len(stream), d)).astype(np.float32))
    n_samples = n_samples or (int(sample.max()) + 1 if len(sample) else 1)
    return VirtualTokenBatch(vectors, stream, torch.zeros_like(stream), sample, n_samples)


def both(batch, code, pooling="sample", **options):
    groups = Groups.of(batch, pooling)
    x_hat = batch.vectors * 0.5
    return reconstruction_loss(batch.vectors, x_hat, groups, **options), sparsity_loss(code, groups, 0.05, **options)


def test_a_stream_without_rows_costs_nothing():
    his = virtual_tokens([0, 0, 0], [0, 0, 1])
    code = torch.rand(3, 4)
    mixed = virtual_tokens([0, 0, 0, 1], [0, 0, 1, 1])
    reconstruction, sparsity = both(his, code)
    parts = both(mixed, torch.cat([code, torch.full((1, 4), 0.05)]))
    assert parts[1].loss.item() == pytest.approx(sparsity.loss.item(), rel=1e-5)
    only_diff = both(mixed._replace(vectors=torch.cat([his.vectors, torch.zeros(1, 6)])), torch.rand(4, 4))[0]
    assert only_diff.item() == pytest.approx(reconstruction.item(), rel=1e-5)


def smooth_l1(x, x_hat):
    error = np.abs(x - x_hat)
    return np.where(error < 1, 0.5 * error**2, error - 0.5)


@pytest.mark.parametrize("stream", [[0, 0, 0, 0, 1], [1, 0, 1, 1, 1, 1, 0]])
def test_each_stream_is_averaged_over_its_own_rows(stream):
    batch = virtual_tokens(stream, [0] * len(stream))
    x, labels = batch.vectors.numpy() * 3, np.array(stream)
    expected = sum(smooth_l1(x[labels == k], x[labels == k] * 0.2).mean() for k in (0, 1))
    pooled = smooth_l1(x, x * 0.2).mean()
    tensor = torch.from_numpy(x)
    loss = reconstruction_loss(tensor, tensor * 0.2, Groups.of(batch)).item()
    assert loss == pytest.approx(expected, rel=1e-5)
    assert loss != pytest.approx(2 * pooled, rel=1e-3)  # all rows on one stream would give this


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_explained_variance_is_the_share_of_variance_that_comes_back(noise):
    rng = np.random.default_rng(3)
    x = rng.normal(2.0, 1.5, size=(50, 4)).astype(np.float32)
    x_hat = x + rng.normal(0, noise, size=x.shape).astype(np.float32) if noise else x
    found = code_stats(torch.from_numpy(x), torch.from_numpy(x_hat), torch.ones(50, 3))
    expected = 1 - ((x - x_hat) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum()
    assert found["explained_variance"].item() == pytest.approx(expected, rel=1e-5)


def test_no_rows_at_all_cost_nothing_and_keep_the_graph():
    code = torch.zeros(0, 4, requires_grad=True)
    reconstruction, sparsity = both(virtual_tokens([], [], n_samples=3), code)
    assert reconstruction.item() == sparsity.loss.item() == sparsity.clamp_rate.item() == 0
    sparsity.loss.backward()
    assert code.grad is not None


def test_a_code_at_its_target_has_no_sparsity_loss():
    assert both(virtual_tokens([0, 1], [0, 0]), torch.full((2, 4), 0.05))[1].loss.item() == pytest.approx(0, abs=1e-7)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_losses_do_not_depend_on_the_order_of_rows(data):
    n = data.draw(st.integers(1, 12))
    labels = st.lists(st.integers(0, 1), min_size=n, max_size=n)
    batch = virtual_tokens(data.draw(labels), data.draw(labels), n_samples=2)
    code = torch.from_numpy(np.random.default_rng(n).random((n, 4), dtype=np.float32))
    order = torch.tensor(data.draw(st.permutations(range(n))))
    shuffled = VirtualTokenBatch(*(x[order] for x in batch[:4]), n_samples=2)
    for pooling in ("sample", "batch", "streams"):
        one, other = both(batch, code, pooling), both(shuffled, code[order], pooling)
        assert one[0].item() == pytest.approx(other[0].item(), rel=1e-4, abs=1e-6)
        assert one[1].loss.item() == pytest.approx(other[1].loss.item(), rel=1e-4, abs=1e-6)


def test_mean_of_shards_is_the_whole_batch_when_counts_are_averaged():
    batch, code = virtual_tokens([0, 0, 1, 0, 0, 1, 1], [0, 0, 0, 1, 2, 2, 2]), torch.rand(7, 4)
    whole = both(batch, code)
    shards = [slice(0, 3), slice(3, 7)]
    samples = [torch.tensor([0, 0, 0]), torch.tensor([0, 1, 1, 1])]
    parts = [
        VirtualTokenBatch(batch.vectors[s], batch.stream[s], batch.entry[s], sample, int(sample.max()) + 1)
        for s, sample in zip(shards, samples, strict=True)
    ]
    counts = [[], []]
    for part, s, seen in zip(parts, shards, counts, strict=True):
        both(part, code[s], average=lambda count, seen=seen: seen.append(count) or count)
    means = [(a + b) / 2 for a, b in zip(*counts, strict=True)]
    totals = [0.0, 0.0]
    for part, s in zip(parts, shards, strict=True):
        queue = iter(means)
        reconstruction, sparsity = both(part, code[s], average=lambda _, queue=queue: next(queue))
        totals = [totals[0] + reconstruction.item() / 2, totals[1] + sparsity.loss.item() / 2]
    assert totals == pytest.approx([whole[0].item(), whole[1].loss.item()], rel=1e-5)


def test_statistics_of_a_known_code():
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    stats = code_stats(x, x * 0.5, torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]))
    found = {name: value.item() for name, value in stats.items()}
    assert found == {"l0": 1.0, "dead": 0.75, "explained_variance": 0.75}
    assert all(value.item() == 0 for value in code_stats(x[:0], x[:0], torch.zeros(0, 4)).values())
