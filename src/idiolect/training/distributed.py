"""The little that several processes have to agree on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, distributed

T = TypeVar("T")


def process_mean(value: Tensor) -> Tensor:
    """The mean of all processes' ``value``, without gradient.

    Of counts it is the divisor that makes the mean of the processes' gradients that of the whole batch.
    """
    if not _several():
        return value
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


def on_main(compute: Callable[[], T]) -> T:
    """What ``compute`` returns on the first process, on all of them; the others do not call it."""
    if not _several():
        return compute()
    box: list[Any] = [compute() if distributed.get_rank() == 0 else None]
    distributed.broadcast_object_list(box)
    return box[0]


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
