"""What a sample is written from: the same value for training, generation and explanation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from idiolect.types import Item, Review, Rung, Sample, Slot

NO_VECTOR = np.zeros(0, dtype=np.float32)
"""Stands where a vector was not read, for a prompt that is text alone."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Entry:
    """One review of the user's history with its vectors (text and vectors of the same review, always)."""

    review: Review
    item: Item
    e_his: np.ndarray
    """float32 (dim,): the review's embedding (Eq. 2); ``NO_VECTOR`` where none was read."""
    e_diff: np.ndarray | None
    """float32 (dim,): own embedding minus the peers' (Eq. 4); None where too few may be compared with."""
    n_peers: int
    """Reviews that it is compared with; 0 where too few users wrote any."""
    peers: Rung = "item"
    """Whose reviews these are."""

    @property
    def rung(self) -> Rung:
        """Whom the review is compared with; ``none`` where there is no difference."""
        return "none" if self.e_diff is None else self.peers


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Context:
    """A sample, its item and the history it is written from, best entry first."""

    sample: Sample
    item: Item
    entries: tuple[Entry, ...]

    def vector(self, slot: Slot) -> np.ndarray:
        """float32 (dim,): what fills a slot.

        Raises:
            ValueError: The slot asks for a vector that its entry does not have.
        """
        entry = self.entries[slot.entry]
        vector = entry.e_his if slot.stream == "his" else entry.e_diff
        if vector is None or not vector.size:
            raise ValueError(f"a {slot.stream!r} slot for entry {slot.entry}, but the context has no such vector")
        return vector
