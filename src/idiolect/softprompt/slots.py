"""A batch of slots laid flat, one row a slot, whatever sample it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

Average = Callable[[Tensor], Tensor]
"""Turns this process's counts into the mean of all processes' counts."""


def own(count: Tensor) -> Tensor:
    """The ``Average`` of a single process: its own counts."""
    return count


class SlotBatch(NamedTuple):
    """Slots of ``n_samples`` samples, in the order in which they stand in the text."""

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
    """What an adapter makes of a ``SlotBatch``."""

    rows: Tensor
    """float32 (S, hidden_size)."""
    losses: dict[str, Tensor]
    """Scalars, already weighted: their sum is what is added to the generation loss (Eq. 11)."""
    stats: dict[str, Tensor]
    """Scalars to report; no gradient flows through them."""
