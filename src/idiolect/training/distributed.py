"""The little that several processes have to agree on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from idiolect.errors import IdiolectError

T = TypeVar("T")

PATIENCE = timedelta(hours=4)
"""The other processes wait so long while the first one builds a snapshot or validates."""


@contextmanager
def process_group(*, on_cpu: bool) -> Iterator[None]:
    """The group of the processes that a launcher such as ``torchrun`` started, formed before any of them writes.

    A single process, and a group that was formed before, are left as they are.

    Args:
        on_cpu: Whether the processes keep to the CPU although there are GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield
        return
    on_gpus = torch.cuda.is_available() and not on_cpu
    if on_gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpus else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


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
    """What ``compute`` returns on the first process, on all of them; the others wait and do not call it.

    Raises:
        IdiolectError: What the first process raised, on all of them.
    """
    if not _several():
        return compute()
    box: list[Any] = [None, None]
    if distributed.get_rank() == 0:
        try:
            box[0] = compute()
        except IdiolectError as error:
            box[1] = error
    distributed.broadcast_object_list(box)
    if box[1] is not None:
        raise box[1]
    return box[0]


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
