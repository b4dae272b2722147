"""The two scales that decide whether an adapter learns: that of its vectors and that of its rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from idiolect.softprompt.config import STREAMS

MIN_SHARE = 0.01
"""No standard deviation is taken below this share of its stream's root mean square: a component that hardly varies in
training must not explode in use."""


class Standardiser(nn.Module):
    """Centres and scales each stream by training statistics, kept as buffers; the identity until they are set."""

    mean: Tensor
    sd: Tensor

    def __init__(self, d_in: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2, d_in))
        self.register_buffer("sd", torch.ones(2, d_in))

    def fit(self, vectors: np.ndarray, stream: np.ndarray) -> None:
        """Set the statistics; a stream with fewer than two rows stays as it is.

        Args:
            vectors: float (n, d_in).
            stream: int (n,).
        """
        for code in range(2):
            rows = vectors[stream == code].astype(np.float64)
            if len(rows) > 1:
                sd = rows.std(axis=0)
                floor = MIN_SHARE * np.sqrt(np.square(sd).mean())
                self.mean[code] = torch.from_numpy(rows.mean(axis=0)).to(self.mean)
                self.sd[code] = torch.from_numpy(np.where(sd > floor, sd, floor or 1.0)).to(self.sd)

    def forward(self, vectors: Tensor, stream: Tensor) -> Tensor:
        """(S, d_in) to (S, d_in)."""
        return (vectors - self.mean[stream]) / self.sd[stream]


EPS = 1e-4
"""Added to a row's mean square: a row of (almost) nothing stays small, and its gradient bounded."""


class NormMatch(nn.Module):
    """Gives every row the norm of a mean token embedding times its stream's learned gain, after RMSNorm."""

    token_norm: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(2))
        self.register_buffer("token_norm", torch.ones(()))

    def forward(self, rows: Tensor, stream: Tensor) -> Tensor:
        """(S, hidden_size) to (S, hidden_size)."""
        scale = self.token_norm * self.gain[stream] / rows.shape[-1] ** 0.5
        return rows * (rows.square().mean(dim=-1) + EPS).rsqrt()[:, None] * scale[:, None]

    def stats(self) -> dict[str, Tensor]:
        """What the norm of a row is made of, to report beside it."""
        gains = {f"gain_{name}": gain for name, gain in zip(STREAMS, self.gain.detach().unbind(), strict=True)}
        return {"token_norm": self.token_norm, **gains}


@torch.no_grad()
def mean_token_norm(embedding: nn.Module, n_tokens: int) -> float:
    """Mean L2 norm of what ``embedding`` returns for every token (some families scale inside the module)."""
    device = next(embedding.parameters()).device
    chunks = torch.arange(n_tokens, device=device).split(8192)
    return sum(embedding(ids).float().norm(dim=-1).sum().item() for ids in chunks) / n_tokens
