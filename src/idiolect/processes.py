"""Several processes of one run, as a launcher such as ``torchrun`` starts them: the first writes, all of them compute.

Every process runs the same program. Without a launcher all of this does nothing and imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from idiolect.errors import IdiolectError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

PATIENCE = timedelta(hours=4)
"""How long the other processes wait while the first one builds a snapshot, validates or scores."""


def launched() -> int:
    """How many processes the launcher started; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def process_group(*, on_cpu: bool) -> Iterator[None]:
    """Initialise the process group of a launcher, before any process writes.

    Nothing is done for a single process, or if there is a group already.

    Args:
        on_cpu: Whether the processes stay on the CPU although there are GPUs.
    """
    if launched() == 1:
        yield
        return
    import torch
    from torch import distributed

    if distributed.is_initialized():
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

    With averaged counts as divisors, the mean of the processes' gradients is the gradient of the whole batch.
    """
    if group_size() == 1:
        return value
    from torch import distributed

    total = value.detach().clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


def on_main(compute: Callable[[], T]) -> T:
    """Call ``compute`` on the first process only, and return its result on all of them.

    Raises:
        IdiolectError: On all processes, if the first one raised it.
    """
    if group_size() == 1:
        return compute()
    from torch import distributed

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


def shared(order: Sequence[int], compute: Callable[[list[int]], Sequence[T]]) -> list[T]:
    """``compute`` for every index: each process computes its share, and all of them get all results.

    Args:
        order: A permutation of 0 ... n - 1, the same on all processes; they take turns along it, so that costs which
            change slowly along it are shared evenly.
        compute: Returns a result for each of the indices that it is called with, in their order.

    Returns:
        n results, by index.

    Raises:
        IdiolectError: On all processes, if one of them raised it.
    """
    from torch import distributed

    own = list(order[distributed.get_rank() :: distributed.get_world_size()])
    found: Any = None
    try:
        found = dict(zip(own, compute(own), strict=True)) if own else {}
    except IdiolectError as error:
        found = error
    parts: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(parts, found)
    if error := next((part for part in parts if isinstance(part, IdiolectError)), None):
        raise error
    joined = {index: value for part in parts for index, value in part.items()}
    return [joined[index] for index in range(len(order))]


def group_size() -> int:
    """Processes in the group; 1 if there is none."""
    if launched() == 1:
        return 1
    from torch import distributed

    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
