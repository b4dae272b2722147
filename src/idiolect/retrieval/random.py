"""Reviews drawn by lot: the baseline every other retriever must beat."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.types import Item, ItemId, Review, Sample


@dataclass(frozen=True, slots=True)
class Random:
    """A shuffle of the profile, drawn anew for every sample and the same on every machine, in every batch."""

    seed: int = 0

    def retrieve(self, sample: Sample, profile: Sequence[Review], items: Mapping[ItemId, Item], k: int) -> list[Review]:
        """``k`` of ``profile`` in an order drawn by ``seed`` and the sample's identity; see ``Retriever``."""
        order = self._generator(sample).permutation(len(profile))
        return [profile[row] for row in order[: k or None]]

    def _generator(self, sample: Sample) -> np.random.Generator:
        # Python's own hash of strings differs from process to process.
        identity = json.dumps([self.seed, sample.user, sample.item, sample.target]).encode()
        return np.random.default_rng(int.from_bytes(hashlib.blake2b(identity, digest_size=16).digest(), "big"))
