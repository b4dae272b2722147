"""Reconstruction and sparsity losses (Eq. 8 and 10) over flat rows; a stream without rows costs nothing.

Every mean is a sum over rows divided by a count. The counts may be averaged over processes, so that the mean of the
processes' gradients is the gradient of the whole batch, however its rows fall on them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from idiolect.softprompt.config import Pooling
from idiolect.softprompt.slots import Average, SlotBatch, own

EPS = 1e-6
"""Mean activations are clamped to [EPS, 1 - EPS] before the logarithm; outside it the gradient is zero."""


class Groups(NamedTuple):
    """Which rows are averaged together."""

    stream: Tensor
    """int64 (S,)"""
    sample: Tensor
    """int64 (S,)"""
    n_samples: int

    @classmethod
    def of(cls, slots: SlotBatch, pooling: Pooling = "sample") -> Groups:
        """The groups of ``AdapterConfig.pooling``: pooling gives all rows one label."""
        one = torch.zeros_like(slots.stream)
        if pooling == "batch":
            return cls(slots.stream, one, 1)
        return cls(one if pooling == "streams" else slots.stream, slots.sample, slots.n_samples)


class Sparsity(NamedTuple):
    """The sparsity loss and how often its clamp cut the gradient off."""

    loss: Tensor
    clamp_rate: Tensor
    """Share of the mean activations outside [EPS, 1 - EPS]."""


def reconstruction_loss(x: Tensor, x_hat: Tensor, groups: Groups, average: Average = own) -> Tensor:
    """Smooth L1, mean over each stream's elements, summed over streams (Eq. 8).

    Args:
        x: float (S, d_in), what went in.
        x_hat: float (S, d_in), what came back.
        groups: Rows by stream.
        average: See ``Average``.
    """
    per_row = F.smooth_l1_loss(x_hat.float(), x.float(), reduction="none").mean(dim=1)
    total = per_row.new_zeros(2).index_add(0, groups.stream, per_row)
    return _sum_of_means(total, _rows(groups.stream, 2), average)


def sparsity_loss(code: Tensor, groups: Groups, rho: float, average: Average = own) -> Sparsity:
    """KL(rho || mean activation), mean over units and samples, summed over streams (Eq. 9 and 10), in float32.

    Args:
        code: float (S, d_sae).
        groups: Rows by sample and stream; Eq. 9's mean is over one group.
        rho: Target mean activation.
        average: See ``Average``.
    """
    code = code.float()
    group, n_groups = groups.sample * 2 + groups.stream, groups.n_samples * 2
    rows = _rows(group, n_groups)
    rho_hat = code.new_zeros(n_groups, code.shape[1]).index_add(0, group, code) / rows.clamp(min=1)[:, None]
    per_group = _kl(rho, rho_hat).mean(dim=1)
    present = (rows > 0).float()
    total = (per_group * present).view(-1, 2).sum(dim=0)
    loss = _sum_of_means(total, present.view(-1, 2).sum(dim=0), average)
    outside = ((rho_hat <= EPS) | (rho_hat >= 1 - EPS)).float().mean(dim=1)
    return Sparsity(loss, (outside * present).sum() / present.sum().clamp(min=1))


def _kl(rho: float, rho_hat: Tensor) -> Tensor:
    # The complement is clamped by itself, for in float32 the distance of 1 - EPS from 1 is 5 % off.
    on, off = rho_hat.clamp(EPS, 1 - EPS), (1 - rho_hat).clamp(EPS, 1 - EPS)
    return rho * (math.log(rho) - on.log()) + (1 - rho) * (math.log1p(-rho) - off.log())


def _rows(label: Tensor, n: int) -> Tensor:
    return torch.bincount(label, minlength=n).float()


def _sum_of_means(total: Tensor, count: Tensor, average: Average) -> Tensor:
    count = average(count)
    return (total / count.where(count > 0, 1.0)).sum()
