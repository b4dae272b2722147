"""Muon: momentum orthogonalised, for the matrices of a small model; AdamW for everything else.

K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024); the step's scale is that of Liu et
al., "Muon is scalable for LLM training" (arXiv 2502.16982), so that one learning rate serves both parts. On sandbox
documents it reaches AdamW's loss in about two thirds of the tokens (docs/benchmarks.md). ``torch.optim.Muon`` takes
matrices only, while the Hugging Face Trainer takes one optimizer for all parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration that drives all singular values towards 1 (Jordan et al.)."""
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon for parameter groups with ``muon=True``, AdamW (betas 0.9, 0.95) for the others.

    Args:
        groups: Parameter groups.
        lr: Learning rate of both, on AdamW's scale.
        weight_decay: Decoupled weight decay, for groups that set none.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, lr: float, weight_decay: float) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "muon": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step of every parameter that has a gradient."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            for p in parameters:
                p.mul_(1 - group["lr"] * group["weight_decay"])
            if group["muon"]:
                self._orthogonal(parameters, group["lr"])
            else:
                self._adam(parameters, group["lr"])

    def _orthogonal(self, parameters: list[nn.Parameter], lr: float) -> None:
        by_shape = sorted(parameters, key=lambda p: tuple(p.shape))
        for shape, same in groupby(by_shape, key=lambda p: tuple(p.shape)):
            group = list(same)
            update = orthogonalised(torch.stack([self._momentum(p) for p in group]))
            for p, direction in zip(group, update, strict=True):
                p.add_(direction, alpha=-0.2 * max(shape) ** 0.5 * lr)

    def _momentum(self, p: nn.Parameter) -> Tensor:
        """Nesterov momentum: the gradient interpolated towards the running mean that includes it."""
        state = self.state[p]
        if not state:
            state["mean"] = torch.zeros_like(p)
        gradient: Tensor = p.grad  # pyright: ignore[reportAssignmentType]
        state["mean"].lerp_(gradient, 1 - _MOMENTUM)
        return gradient.lerp(state["mean"], _MOMENTUM)

    def _adam(self, parameters: list[nn.Parameter], lr: float) -> None:
        for p in parameters:
            state = self.state[p]
            if not state:
                state.update(step=0, mean=torch.zeros_like(p), square=torch.zeros_like(p))
            state["step"] += 1
            gradient: Tensor = p.grad  # pyright: ignore[reportAssignmentType]
            state["mean"].lerp_(gradient, 0.1)
            state["square"].lerp_(gradient.square(), 0.05)
            mean = state["mean"] / (1 - 0.9 ** state["step"])
            square = state["square"] / (1 - 0.95 ** state["step"])
            p.addcdiv_(mean, square.sqrt_().add_(1e-8), value=-lr)


def orthogonalised(matrices: Tensor) -> Tensor:
    """Approximate nearest semi-orthogonal matrices: (n, rows, columns) to the same shape, singular values near 1."""
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x


def make_optimizer(model: nn.Module, *, lr: float, weight_decay: float) -> Muon:
    """Matrices of the layers by Muon; embeddings, norms and biases by AdamW without decay."""
    layers = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    layers -= {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    matrices = [p for p in model.parameters() if id(p) in layers]
    rest = [p for p in model.parameters() if id(p) not in layers]
    groups = [{"params": matrices, "muon": True}, {"params": rest, "weight_decay": 0.0}]
    return Muon(groups, lr=lr, weight_decay=weight_decay)
