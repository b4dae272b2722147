"""The seam of text encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Encoder(Protocol):
    """Turns texts into vectors, one row a text.

    ``name`` carries model and revision, for it keys the stored vectors.
    """

    @property
    def name(self) -> str:
        """Model and revision."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
        """float32 (len(texts), dim), L2-normalised, in the order of ``texts``; an empty text is a valid text."""
        ...
