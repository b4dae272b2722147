"""The codes that a fitted adapter's autoencoder gives vectors: ``z_his`` and ``z_diff``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from idiolect.errors import ConfigError, require
from idiolect.types import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Vectors to codes."""

    name: str
    """Kind and digest of the weights."""
    streams: tuple[Stream, ...]
    """Those it has codes for."""
    encode: Callable[[np.ndarray, Stream], np.ndarray]
    """float32 (n, dim) of a stream to float32 (n, d_sae)."""


def adapter_codes(folder: Path) -> Codes:
    """The codes (DEP, Eq. 5) of the adapter in ``folder``.

    Raises:
        NotFoundError: There is no adapter.
        ArtifactError: It is damaged.
        ConfigError: It has no autoencoder.
        MissingDependencyError: torch is not installed.
    """
    torch = require("torch", extra="train")
    from idiolect.encoders.digest import folder_digest
    from idiolect.softprompt.adapter import Adapter
    from idiolect.softprompt.config import STREAMS
    from idiolect.softprompt.rows import RefinedRows

    source = Adapter.from_pretrained(folder).source
    if not isinstance(source, RefinedRows) or source.sae is None:
        raise ConfigError(f"the adapter in {str(folder)!r} has no autoencoder", hint="fit one with refine: sae")
    sae, standardiser = source.sae, source.standardiser

    @torch.no_grad()
    def encode(vectors: np.ndarray, stream: Stream) -> np.ndarray:
        x = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
        if standardiser is not None:
            x = standardiser(x, torch.full((len(x),), STREAMS.index(stream)))
        return sae.feature_acts(x).numpy()

    return Codes(name=f"sae@{folder_digest(folder)}", streams=source.config.kept_streams, encode=encode)
