"""DEP's adapter: vectors to soft prompt embeddings (Eq. 5-6). It alone is trained, saved and served.

``Adapter`` runs the embeddings of its ``source`` through ``NormMatch``. The source is a ``SoftPromptEncoder`` (vectors
float32 (S, d_in) to embeddings (S, hidden_size): standardise, autoencode, one projector per stream, appendix C.2) or,
as a control, a ``ConstantPrompt`` that ignores the vectors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from idiolect.errors import ConfigError
from idiolect.softprompt.artifact import SavedAdapter
from idiolect.softprompt.config import RHO, STREAMS, AdapterConfig, VectorInputs
from idiolect.softprompt.sae import (
    AdapterOutput,
    Average,
    Groups,
    NormMatch,
    SparseAutoencoder,
    Standardiser,
    VirtualTokenBatch,
    code_stats,
    identity,
    reconstruction_loss,
    sparsity_loss,
)
from idiolect.types import Stream

_STATISTICS = 4096
"""Means and standard deviations are taken from about so many samples, spread evenly."""


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
    # Uses the meta device so that the global RNG is untouched.
    layer = nn.Linear(width_in, width_out, device="meta").to_empty(device="cpu")
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


class SoftPromptEncoder(nn.Module):
    """Standardise, refine (Eq. 5), project (Eq. 6).

    Args:
        config: With ``kind: dep``.
        generator: Draws the initial weights; None: torch's global one.
    """

    unit_factors: Tensor | None
    """float32 (width,): what each unit of the code is multiplied by before the projection; None: nothing. Not saved."""

    def __init__(self, config: AdapterConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.standardiser = Standardiser(config.d_in) if config.standardise else None
        self.sae = SparseAutoencoder.of(config, generator) if config.refine != "none" else None
        self.projectors = nn.ModuleDict(
            {stream: Projector(config.width, config.hidden_size, generator=generator) for stream in config.kept_streams}
        )
        self.register_buffer("unit_factors", None, persistent=False)

    def standardised(self, vectors: Tensor, stream: Tensor) -> Tensor:
        """(S, d_in) to (S, d_in): what the autoencoder reads."""
        return vectors if self.standardiser is None else self.standardiser(vectors, stream)

    def forward(self, batch: VirtualTokenBatch, average: Average) -> AdapterOutput:
        """See ``Adapter.forward``; the embeddings are not normalized."""
        x = self.standardised(batch.vectors, batch.stream)
        if self.sae is None:
            return AdapterOutput(self.project(x, batch.stream), {}, {})
        code = self.sae.feature_acts(x)
        x_hat = self.sae.decode(code)
        config, groups = self.config, Groups.of(batch, self.config.pooling)
        losses = {"reconstruction": config.recon_weight * reconstruction_loss(x, x_hat, groups, average)}
        stats = code_stats(x.detach(), x_hat.detach(), code.detach())
        if config.refine == "sae":
            sparsity = sparsity_loss(code, groups, RHO, average)
            losses["sparsity"] = config.recon_weight * config.sparsity_weight * sparsity.loss
            stats["clamp_rate"] = sparsity.clamp_rate.detach()
        return AdapterOutput(self.project(code, batch.stream), losses, stats)

    def project(self, code: Tensor, stream: Tensor) -> Tensor:
        """(S, width) to (S, hidden_size): each row by its stream's projector, after ``unit_factors`` (Eq. 6)."""
        if self.unit_factors is not None:
            code = code * self.unit_factors
        # Every projector computes every row: the product is small, no device waits for a row count, and each weight
        # takes part in each step, as distributed training requires.
        embeddings = code.new_zeros(len(code), self.config.hidden_size)
        for name, projector in self.projectors.items():
            embeddings = torch.where((stream == STREAMS.index(name))[:, None], projector(code), embeddings)
        return embeddings


class ConstantPrompt(nn.Module):
    """One trained embedding per stream and entry that ignores the vectors: measures what training as such gains.

    The table starts as small as token embeddings. Adam's steps have the size of the learning rate, and an embedding of
    fixed norm can only rotate: from unit standard deviation it rotates by a few degrees in a whole fit and gains
    nothing, from 0.02 it gains as much as projectors trained on other users' vectors.

    Args:
        config: With ``kind: constant``.
        generator: Draws the initial embeddings; None: torch's global one.
    """

    def __init__(self, config: AdapterConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(2, config.max_entries, config.hidden_size))
        nn.init.normal_(self.table, std=0.02, generator=generator)

    def forward(self, batch: VirtualTokenBatch, average: Average) -> AdapterOutput:
        """See ``Adapter.forward``."""
        return AdapterOutput(self.table[batch.stream, batch.entry], {}, {})


def _no_vectors(config: AdapterConfig) -> np.ndarray:
    return np.zeros((0, config.d_in), dtype=np.float32)


class Adapter(SavedAdapter):
    """Soft prompt embeddings of ``config.kind``, with the norm of the backbone's token embeddings.

    Args:
        config: What to build.
        generator: Draws the initial weights; None: torch's global one.
    """

    config_class = AdapterConfig

    def __init__(self, config: AdapterConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.source = (SoftPromptEncoder if config.kind == "dep" else ConstantPrompt)(config, generator)
        self.norm_match = NormMatch() if config.match_norm else None

    def forward(self, batch: VirtualTokenBatch, average: Average = identity) -> AdapterOutput:
        """Embeddings, weighted losses and statistics.

        Computed in float32 also under autocast: in bfloat16 1 - 1e-6 is 1, and the KL of Eq. 10 would be infinite.

        Args:
            batch: The virtual tokens; an empty batch is valid.
            average: Averages counts over processes.
        """
        with torch.autocast(batch.vectors.device.type, enabled=False):
            embeddings, losses, stats = self.source(batch, average)
            if self.norm_match is not None:
                embeddings = self.norm_match(embeddings, batch.stream)
                stats = {**stats, **self.norm_match.stats()}
            norm = embeddings.detach().norm(dim=-1).sum() / max(len(embeddings), 1)
        return AdapterOutput(embeddings, losses, {**stats, "soft_norm": norm})

    def collate(self, inputs: Sequence[VectorInputs]) -> dict[str, Tensor]:
        """Arguments of ``embed_batch``: ``vectors`` (S, d_in), ``stream``, ``entry`` and ``sample`` (S,), laid flat."""
        batch = {
            "vectors": np.concatenate([_no_vectors(self.config), *(one.vectors for one in inputs if len(one.vectors))]),
            "stream": np.concatenate([one.stream for one in inputs]),
            "entry": np.concatenate([one.entry for one in inputs]),
            "sample": np.repeat(np.arange(len(inputs)), [len(one.stream) for one in inputs]),
        }
        return {name: torch.from_numpy(array) for name, array in batch.items()}

    def embed_batch(self, batch: Mapping[str, Tensor], n_samples: int, average: Average) -> AdapterOutput:
        """``forward`` of a batch from ``collate``."""
        return self(VirtualTokenBatch(**batch, n_samples=n_samples), average)

    def fit_statistics(self, inputs: Sequence[VectorInputs], *, token_norm: float) -> None:
        """``set_statistics`` from the inputs of training samples."""
        some = inputs[:: max(1, len(inputs) // _STATISTICS)]
        vectors, stream = (np.concatenate([getattr(one, name) for one in some]) for name in ("vectors", "stream"))
        self.set_statistics(vectors, stream, token_norm=token_norm)

    def check_inputs(self, inputs: VectorInputs) -> None:
        """See ``check``."""
        self.check(inputs.vectors, inputs.stream, inputs.entry)

    def scale_units(self, factors: Mapping[int, float]) -> None:
        """See ``SavedAdapter.scale_units``; losses and statistics see the code as it is."""
        if not factors:  # also for a constant, which has no units
            if isinstance(self.source, SoftPromptEncoder):
                self.source.unit_factors = None
            return
        source = self._with_units()
        scale = torch.ones(self.config.width)
        for unit, factor in factors.items():
            if not 0 <= unit < self.config.width:
                last = self.config.width - 1
                raise ConfigError(f"the adapter has no unit {unit}", hint=f"its units are 0 to {last}")
            if not (math.isfinite(factor) and factor >= 0):
                raise ConfigError(f"unit {unit} cannot be multiplied by {factor}", hint="a factor is 0 or more")
            scale[unit] = factor
        source.unit_factors = scale.to(next(self.parameters()).device)

    def _with_units(self) -> SoftPromptEncoder:
        if not isinstance(self.source, SoftPromptEncoder) or self.source.sae is None:
            raise ConfigError("the adapter has no autoencoder and so no units", hint="fit one with adapter.refine=sae")
        return self.source

    @torch.no_grad()
    def codes(self, vectors: np.ndarray, stream: Stream) -> tuple[Tensor, Tensor, Tensor]:
        """What the autoencoder makes of vectors of one stream (Eq. 5); units are not scaled.

        Args:
            vectors: float (n, d_in): ``e_his`` or ``e_diff``.
            stream: Which of the two.

        Returns:
            float32, on the CPU: its input (n, d_in), the code (n, width), the reconstruction (n, d_in).

        Raises:
            ConfigError: The adapter has no autoencoder.
        """
        source = self._with_units()
        assert source.sae is not None
        device = next(self.parameters()).device
        values = torch.as_tensor(np.asarray(vectors, dtype=np.float32), device=device)
        x = source.standardised(values, torch.full((len(values),), STREAMS.index(stream), device=device))
        code = source.sae.feature_acts(x)
        return x.cpu(), code.cpu(), source.sae.decode(code).cpu()

    @torch.no_grad()
    def embed_codes(self, code: Tensor, stream: Stream) -> Tensor:
        """(n, width) to float32 (n, hidden_size), on the CPU: soft prompt embeddings of codes of one stream (Eq. 6)."""
        source, device = self._with_units(), next(self.parameters()).device
        streams = torch.full((len(code),), STREAMS.index(stream), device=device)
        embeddings = source.project(code.to(device), streams)
        return (embeddings if self.norm_match is None else self.norm_match(embeddings, streams)).cpu()

    def set_statistics(self, vectors: np.ndarray, stream: np.ndarray, *, token_norm: float) -> None:
        """Set the normalization from training data.

        Args:
            vectors: float (n, d_in), the vectors of the training virtual tokens.
            stream: int (n,), their streams.
            token_norm: Mean norm of the backbone's token embeddings.
        """
        if isinstance(self.source, SoftPromptEncoder) and self.source.standardiser is not None:
            self.source.standardiser.fit(vectors, stream)
        if self.norm_match is not None:
            self.norm_match.token_norm.fill_(token_norm)

    def check(self, vectors: np.ndarray, stream: np.ndarray, entry: np.ndarray) -> None:
        """Refuse virtual tokens that the adapter has no weights for.

        Raises:
            ValueError: Wrong shape, a stream the configuration leaves out, or an entry past the constant's table.
        """
        n, config = len(stream), self.config
        if vectors.shape != (n, config.d_in) or entry.shape != (n,):
            raise ValueError(
                f"{n} virtual tokens need vectors ({n}, {config.d_in}), got {vectors.shape} and {entry.shape}"
            )
        if not np.isin(stream, [STREAMS.index(name) for name in config.kept_streams]).all():
            raise ValueError(f"the adapter has no weights for streams other than {config.kept_streams!r}")
        if config.kind == "constant" and n and entry.max() >= config.max_entries:
            raise ValueError(f"entry {entry.max()} is past the adapter's {config.max_entries} (max_entries)")

    @torch.no_grad()
    def soft_prompt_embeddings(self, vectors: np.ndarray, stream: np.ndarray, entry: np.ndarray) -> np.ndarray:
        """Embeddings for inference.

        Args:
            vectors: float (n, d_in), of each virtual token.
            stream: int (n,), see ``stream_ids``.
            entry: int (n,), index of the history entry.

        Returns:
            float32 (n, hidden_size).

        Raises:
            ValueError: See ``check``.
        """
        self.check(vectors, stream, entry)
        device = next(self.parameters()).device
        values = torch.as_tensor(vectors, dtype=torch.float32, device=device)
        codes, places = (torch.as_tensor(x, dtype=torch.int64, device=device) for x in (stream, entry))
        batch = VirtualTokenBatch(values, codes, places, sample=torch.zeros_like(codes), n_samples=1)
        return self(batch).embeddings.cpu().numpy()
