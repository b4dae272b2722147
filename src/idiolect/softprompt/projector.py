"""From a code to a row in the backbone's input space (Eq. 6; one projector per stream, appendix C.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Projector(nn.Module):
    """Linear, GELU, Linear; Xavier-uniform weights, zero biases.

    Args:
        width: Of the code.
        hidden_size: Of the backbone's token embeddings.
        generator: Draws the initial weights; None: torch's global one.
    """

    def __init__(self, width: int, hidden_size: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.inner = _xavier(width, hidden_size, generator)
        self.outer = _xavier(hidden_size, hidden_size, generator)

    def forward(self, code: Tensor) -> Tensor:
        """(S, width) to (S, hidden_size)."""
        return self.outer(F.gelu(self.inner(code)))


def _xavier(width_in: int, width_out: int, generator: torch.Generator | None) -> nn.Linear:
    # Born on "meta", for Linear's own initialisation would draw from torch's global generator.
    layer = nn.Linear(width_in, width_out, device="meta").to_empty(device="cpu")
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
