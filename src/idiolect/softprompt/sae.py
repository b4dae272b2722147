"""The sparse autoencoder of the DEP paper (Eq. 5), its losses (Eq. 8-10), and the normalization around it.

All virtual tokens of a batch lie flat: tensors are (S, ...), one row per virtual token, with the stream (0 his, 1 diff)
and the sample of each row as int64 (S,). Everything is computed in float32.

Every mean is a sum over rows divided by a count. Counts may be averaged over processes: the mean of the processes'
gradients is then the gradient of the whole batch, however its rows are distributed. A stream without rows adds zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from idiolect.softprompt.config import STREAMS, Activation, AdapterConfig, Pooling

Average = Callable[[Tensor], Tensor]
"""Maps this process's counts to the mean over all processes."""


def identity(count: Tensor) -> Tensor:
    """The ``Average`` of a single process: the counts themselves."""
    return count


class VirtualTokenBatch(NamedTuple):
    """The virtual tokens of ``n_samples`` samples, in text order."""

    vectors: Tensor
    """float32 (S, d_in): ``e_his`` or ``e_diff``."""
    stream: Tensor
    """int64 (S,): 0 his, 1 diff."""
    entry: Tensor
    """int64 (S,): index of the history entry, 0 = best."""
    sample: Tensor
    """int64 (S,): row of the batch."""
    n_samples: int


class AdapterOutput(NamedTuple):
    """What an adapter returns for a batch of virtual tokens."""

    embeddings: Tensor
    """float32 (S, hidden_size)."""
    losses: dict[str, Tensor]
    """Scalars, already weighted: their sum is added to the generation loss (Eq. 11)."""
    stats: dict[str, Tensor]
    """Scalars to report, without gradient."""


class SparseAutoencoder(nn.Module):
    """One encoder and one decoder layer (Eq. 5), shared by both streams; Xavier-uniform weights, zero biases (C.2).

    Args:
        d_in: Width of the vectors.
        d_sae: Width of the code.
        activation: Of the code.
        k: Units kept where ``activation`` is ``topk``.
        decoder_activation: Of the reconstruction; ``gelu`` for weights trained by the authors' program.
        generator: Draws the initial weights; None: torch's global one.
    """

    def __init__(
        self,
        d_in: int,
        d_sae: int,
        *,
        activation: Activation = "relu",
        k: int = 32,
        decoder_activation: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.activation, self.k, self.decoder_activation = activation, min(k, d_sae), decoder_activation
        self.W_enc = nn.Parameter(torch.empty(d_sae, d_in))
        self.b_enc = nn.Parameter(torch.zeros(d_sae))
        self.W_dec = nn.Parameter(torch.empty(d_in, d_sae))
        self.b_dec = nn.Parameter(torch.zeros(d_in))
        for weight in (self.W_enc, self.W_dec):
            nn.init.xavier_uniform_(weight, generator=generator)

    @classmethod
    def of(cls, config: AdapterConfig, generator: torch.Generator | None = None) -> SparseAutoencoder:
        """The autoencoder that ``config`` describes."""
        return cls(
            config.d_in,
            config.width,
            activation=config.activation,
            k=config.k,
            decoder_activation=config.decoder_activation,
            generator=generator,
        )

    def hidden_pre(self, x: Tensor) -> Tensor:
        """(n, d_in) to (n, d_sae): the code before its activation."""
        return F.linear(x, self.W_enc, self.b_enc)

    def feature_acts(self, x: Tensor) -> Tensor:
        """(n, d_in) to (n, d_sae): the code ``z`` of Eq. 5."""
        pre = self.hidden_pre(x)
        if self.activation == "sigmoid":
            return torch.sigmoid(pre)
        if self.activation == "gelu":
            return F.gelu(pre)
        return _top(F.relu(pre), self.k) if self.activation == "topk" else F.relu(pre)

    def decode(self, code: Tensor) -> Tensor:
        """(n, d_sae) to (n, d_in): the reconstruction of Eq. 5."""
        x_hat = F.linear(code, self.W_dec, self.b_dec)
        return F.gelu(x_hat) if self.decoder_activation == "gelu" else x_hat


def _top(code: Tensor, k: int) -> Tensor:
    values, places = code.topk(k, dim=-1)
    return torch.zeros_like(code).scatter(-1, places, values)


EPS = 1e-6
"""Mean activations are clamped to [EPS, 1 - EPS] before the logarithm; outside it the gradient is zero."""


class Groups(NamedTuple):
    """Which rows are averaged together in Eq. 9."""

    stream: Tensor
    """int64 (S,)"""
    sample: Tensor
    """int64 (S,)"""
    n_samples: int

    @classmethod
    def of(cls, batch: VirtualTokenBatch, pooling: Pooling = "sample") -> Groups:
        """The groups of ``AdapterConfig.pooling``: pooling gives all rows one label."""
        one = torch.zeros_like(batch.stream)
        if pooling == "batch":
            return cls(batch.stream, one, 1)
        return cls(one if pooling == "streams" else batch.stream, batch.sample, batch.n_samples)


class Sparsity(NamedTuple):
    """The sparsity loss and how often its clamp cut the gradient off."""

    loss: Tensor
    clamp_rate: Tensor
    """Share of the mean activations outside [EPS, 1 - EPS]."""


def reconstruction_loss(x: Tensor, x_hat: Tensor, groups: Groups, average: Average = identity) -> Tensor:
    """Smooth L1, mean over each stream's elements, summed over streams (Eq. 8).

    Args:
        x: float (S, d_in), the input.
        x_hat: float (S, d_in), its reconstruction.
        groups: Rows by stream.
        average: See ``Average``.
    """
    per_row = F.smooth_l1_loss(x_hat.float(), x.float(), reduction="none").mean(dim=1)
    total = per_row.new_zeros(2).index_add(0, groups.stream, per_row)
    return _sum_of_means(total, _rows(groups.stream, 2), average)


def sparsity_loss(code: Tensor, groups: Groups, rho: float, average: Average = identity) -> Sparsity:
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
    # The complement is clamped separately: in float32 the distance of 1 - EPS from 1 is off by 5 %.
    on, off = rho_hat.clamp(EPS, 1 - EPS), (1 - rho_hat).clamp(EPS, 1 - EPS)
    return rho * (math.log(rho) - on.log()) + (1 - rho) * (math.log1p(-rho) - off.log())


def _rows(label: Tensor, n: int) -> Tensor:
    return torch.bincount(label, minlength=n).float()


def _sum_of_means(total: Tensor, count: Tensor, average: Average) -> Tensor:
    count = average(count)
    return (total / count.where(count > 0, 1.0)).sum()


@torch.no_grad()
def code_stats(x: Tensor, x_hat: Tensor, code: Tensor) -> dict[str, Tensor]:
    """Statistics of the code, to report; all zero if there are no rows.

    ``l0``: active units per row. ``dead``: share of units active in no row (an upper bound if the batch is small).
    ``explained_variance``: 1 minus residual variance over variance, 1 is perfect.

    Args:
        x: float (S, d_in), the input.
        x_hat: float (S, d_in), its reconstruction.
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


MIN_SHARE = 0.01
"""Floor of each standard deviation, as a share of the root mean square over its stream's components. Without it a
component that hardly varies in training could become huge in use."""


class Standardiser(nn.Module):
    """Centres and scales each stream by its training mean and standard deviation; the identity until ``fit``."""

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


MIN_MEAN_SQUARE = 1e-4
"""Added to a row's mean square, so that a row near zero stays small and its gradient bounded."""


class NormMatch(nn.Module):
    """RMSNorm, then the mean norm of token embeddings times a learned gain per stream."""

    token_norm: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(2))
        self.register_buffer("token_norm", torch.ones(()))

    def forward(self, embeddings: Tensor, stream: Tensor) -> Tensor:
        """(S, hidden_size) to (S, hidden_size)."""
        scale = self.token_norm * self.gain[stream] / embeddings.shape[-1] ** 0.5
        return embeddings * (embeddings.square().mean(dim=-1) + MIN_MEAN_SQUARE).rsqrt()[:, None] * scale[:, None]

    def stats(self) -> dict[str, Tensor]:
        """The factors of the embeddings' norm."""
        gains = {f"gain_{name}": gain for name, gain in zip(STREAMS, self.gain.detach().unbind(), strict=True)}
        return {"token_norm": self.token_norm, **gains}


@torch.no_grad()
def mean_token_norm(embedding: nn.Module, n_tokens: int) -> float:
    """Mean L2 norm of the embeddings of all tokens, as the module returns them (some families scale inside it)."""
    device = next(embedding.parameters()).device
    chunks = torch.arange(n_tokens, device=device).split(8192)
    return sum(embedding(ids).float().norm(dim=-1).sum().item() for ids in chunks) / n_tokens
