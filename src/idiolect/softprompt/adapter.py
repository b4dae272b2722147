"""Vectors to soft rows: what is trained, saved and served. The backbone is not part of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from idiolect.softprompt.artifact import check_size, read_config, read_weights, write_artifact
from idiolect.softprompt.config import STREAMS, AdapterConfig
from idiolect.softprompt.rows import ConstantRows, RefinedRows
from idiolect.softprompt.scale import NormMatch
from idiolect.softprompt.slots import AdapterOutput, Average, SlotBatch, own


class Adapter(nn.Module):
    """The rows of ``config.kind``, at the scale of the backbone's token embeddings.

    Args:
        config: What to build.
        generator: Draws the initial weights; None: torch's global one.
    """

    def __init__(self, config: AdapterConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.source = (RefinedRows if config.kind == "dep" else ConstantRows)(config, generator)
        self.norm_match = NormMatch() if config.match_norm else None

    def forward(self, slots: SlotBatch, average: Average = own) -> AdapterOutput:
        """Rows, weighted losses and statistics.

        In float32 whatever the autocast around it: in bfloat16 1 - 1e-6 is 1, and the KL of Eq. 10 infinite.

        Args:
            slots: The slots; none at all is a valid batch.
            average: Averages counts over processes.
        """
        with torch.autocast(slots.vectors.device.type, enabled=False):
            rows, losses, stats = self.source(slots, average)
            if self.norm_match is not None:
                rows = self.norm_match(rows, slots.stream)
                stats = {**stats, **self.norm_match.stats()}
            norm = rows.detach().norm(dim=-1).sum() / max(len(rows), 1)
        return AdapterOutput(rows, losses, {**stats, "soft_norm": norm})

    def set_statistics(self, vectors: np.ndarray, stream: np.ndarray, *, token_norm: float) -> None:
        """Take the scales from training data.

        Args:
            vectors: float (n, d_in), the vectors of the training slots.
            stream: int (n,), their streams.
            token_norm: Mean norm of the backbone's token embeddings.
        """
        if isinstance(self.source, RefinedRows) and self.source.standardiser is not None:
            self.source.standardiser.fit(vectors, stream)
        if self.norm_match is not None:
            self.norm_match.token_norm.fill_(token_norm)

    def check(self, vectors: np.ndarray, stream: np.ndarray, entry: np.ndarray) -> None:
        """Refuse slots that the adapter has no weights for.

        Raises:
            ValueError: Wrong shape, a stream the configuration leaves out, or an entry past the constant's table.
        """
        n, config = len(stream), self.config
        if vectors.shape != (n, config.d_in) or entry.shape != (n,):
            raise ValueError(f"{n} slots need vectors ({n}, {config.d_in}), got {vectors.shape} and {entry.shape}")
        if not np.isin(stream, [STREAMS.index(name) for name in config.kept_streams]).all():
            raise ValueError(f"the adapter has no weights for streams other than {config.kept_streams!r}")
        if config.kind == "constant" and n and entry.max() >= config.max_entries:
            raise ValueError(f"entry {entry.max()} is past the adapter's {config.max_entries} (max_entries)")

    @torch.no_grad()
    def soft_rows(self, vectors: np.ndarray, stream: np.ndarray, entry: np.ndarray) -> np.ndarray:
        """Rows for inference.

        Args:
            vectors: float (n, d_in), row k for slot k.
            stream: int (n,), see ``stream_codes``.
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
        slots = SlotBatch(values, codes, places, sample=torch.zeros_like(codes), n_samples=1)
        return self(slots).rows.cpu().numpy()

    def save_pretrained(
        self, folder: Path, *, provenance: Mapping[str, Any] | None = None, weights: Mapping[str, Tensor] | None = None
    ) -> None:
        """Write ``config.json``, ``adapter.safetensors`` and ``README.md``; nothing is pickled.

        Args:
            folder: Made where absent.
            provenance: What the adapter was made from and measured at (backbone and revision, encoder, data,
                visibility, cold-start rung, metrics), for the README.
            weights: The state to write; None: the adapter's own (sharded training gathers it first).
        """
        write_artifact(folder, self.config, weights or self.state_dict(), provenance or {})

    def load(self, folder: Path) -> None:
        """Take the weights of a saved adapter of the same shape.

        Raises:
            NotFoundError: There is none in ``folder``.
            ArtifactError: It is damaged, or of another shape.
        """
        self.load_state_dict(read_weights(folder, expected=self.state_dict()))

    @classmethod
    def from_pretrained(cls, folder: Path) -> Adapter:
        """The adapter saved in ``folder``, on the CPU, ready for inference.

        Raises:
            NotFoundError: There is none.
            ArtifactError: It is damaged, or weights and configuration do not fit.
        """
        config = read_config(folder)
        check_size(folder, config)
        adapter = cls(config, torch.Generator())
        adapter.load(folder)
        return adapter.eval()
