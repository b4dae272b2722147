"""What a code looks like: reported, never optimised."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def code_stats(x: Tensor, x_hat: Tensor, code: Tensor) -> dict[str, Tensor]:
    """Scalars over the rows given; all zero for no rows.

    ``l0``: active units a row. ``dead``: share of units active in no row (over a small batch this is an upper bound).
    ``explained_variance``: 1 minus residual variance over variance, 1 is perfect.

    Args:
        x: float (S, d_in), what went in.
        x_hat: float (S, d_in), what came back.
        code: float (S, d_sae).
    """
    if not len(code):
        return dict.fromkeys(("l0", "dead", "explained_variance"), code.new_zeros(()))
    active = code > 0
    residual = (x - x_hat).square().sum()
    variance = (x - x.mean(dim=0)).square().sum().clamp(min=1e-12)
    return {
        "l0": active.float().sum(dim=1).mean(),
        "dead": 1 - active.any(dim=0).float().mean(),
        "explained_variance": 1 - residual / variance,
    }
