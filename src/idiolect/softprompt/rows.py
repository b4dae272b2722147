"""Where soft rows come from: from vectors (the method) or from nowhere (the control)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from idiolect.softprompt.config import STREAMS, AdapterConfig
from idiolect.softprompt.losses import Groups, reconstruction_loss, sparsity_loss
from idiolect.softprompt.projector import Projector
from idiolect.softprompt.sae import SparseAutoencoder
from idiolect.softprompt.scale import Standardiser
from idiolect.softprompt.slots import AdapterOutput, Average, SlotBatch
from idiolect.softprompt.stats import code_stats


class RefinedRows(nn.Module):
    """Standardise, refine (Eq. 5), project (Eq. 6).

    Args:
        config: With ``kind: dep``.
        generator: Draws the initial weights; None: torch's global one.
    """

    def __init__(self, config: AdapterConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.standardiser = Standardiser(config.d_in) if config.standardise else None
        self.sae = SparseAutoencoder.of(config, generator) if config.refine != "none" else None
        self.projectors = nn.ModuleDict(
            {stream: Projector(config.width, config.hidden_size, generator=generator) for stream in config.kept_streams}
        )

    def forward(self, slots: SlotBatch, average: Average) -> AdapterOutput:
        """See ``Adapter.forward``; the rows are at the projectors' own scale."""
        x = slots.vectors if self.standardiser is None else self.standardiser(slots.vectors, slots.stream)
        if self.sae is None:
            return AdapterOutput(self._project(x, slots.stream), {}, {})
        code = self.sae.feature_acts(x)
        x_hat = self.sae.decode(code)
        config, groups = self.config, Groups.of(slots, self.config.pooling)
        losses = {"reconstruction": config.recon_weight * reconstruction_loss(x, x_hat, groups, average)}
        stats = code_stats(x.detach(), x_hat.detach(), code.detach())
        if config.refine == "sae":
            sparsity = sparsity_loss(code, groups, config.rho, average)
            losses["sparsity"] = config.recon_weight * config.sparsity_weight * sparsity.loss
            stats["clamp_rate"] = sparsity.clamp_rate.detach()
        return AdapterOutput(self._project(code, slots.stream), losses, stats)

    def _project(self, code: Tensor, stream: Tensor) -> Tensor:
        # Every projector sees every row: the product is small, no device waits for a row count, and each weight takes
        # part in each step, as distributed training demands.
        rows = code.new_zeros(len(code), self.config.hidden_size)
        for name, projector in self.projectors.items():
            rows = torch.where((stream == STREAMS.index(name))[:, None], projector(code), rows)
        return rows


class ConstantRows(nn.Module):
    """One trained row per stream and entry, whatever the vectors: what training as such gains.

    Rows start small, as token embeddings do. Adam's steps have the size of the learning rate whatever the gradient, and
    a row whose norm is matched can only turn: from a table of unit deviation it turns by a few degrees in a whole fit
    and gains nothing, from this one it gains what projectors fed with other users' vectors do.

    Args:
        config: With ``kind: constant``.
        generator: Draws the initial rows; None: torch's global one.
    """

    def __init__(self, config: AdapterConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(2, config.max_entries, config.hidden_size))
        nn.init.normal_(self.table, std=0.02, generator=generator)

    def forward(self, slots: SlotBatch, average: Average) -> AdapterOutput:
        """See ``Adapter.forward``."""
        return AdapterOutput(self.table[slots.stream, slots.entry], {}, {})
