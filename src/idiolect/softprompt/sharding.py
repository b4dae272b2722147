"""A frozen backbone whose layers are spread over the processes of a run (FSDP2): for one that does not fit one device.

Every process holds its share of each layer; a layer is gathered for as long as it computes. Embeddings, last norm and
output stay whole, because soft prompts are put in between them and the layers. The adapter is no part of it: as on one
device, each process has a copy, and gradients are averaged.

All processes must call the backbone equally often. So nothing is halved when memory runs out, no prefix is kept, and
every process validates.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from idiolect.errors import ConfigError
from idiolect.processes import group_size


def shard_layers(model: Any, device: str | torch.device) -> Any:
    """Spread the layers of a causal language model over the processes, in place.

    Args:
        model: A Hugging Face model, whole and alike on every process; best on the CPU, so that no device ever holds it.
        device: Where this process computes.

    Returns:
        The model, on the device.

    Raises:
        ConfigError: There is only one process, or the model does not say what its layers are.
    """
    if group_size() == 1:
        hint = "start it with torchrun, or leave out fit.sharded"
        raise ConfigError("fit.sharded needs several processes, and there is one", hint=hint)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    names = set(getattr(model, "_no_split_modules", None) or ())
    layers = [module for module in model.modules() if type(module).__name__ in names]
    if not layers:
        raise ConfigError(f"{type(model).__name__} does not name its layers", hint="leave out fit.sharded")
    model.requires_grad_(False)
    mesh = init_device_mesh(torch.device(device).type, (group_size(),))
    whole = set(model.parameters()).difference(*(layer.parameters() for layer in layers))
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    # Nothing of the model itself: with it as their root, a layer is gathered while the one before it computes.
    fully_shard(model, mesh=mesh, ignored_params=whole)
    return model.to(device)


def is_sharded(model: nn.Module) -> bool:
    """Whether the layers of a model are spread over processes."""
    if group_size() == 1:
        return False
    from torch.distributed.fsdp import FSDPModule

    return isinstance(model, FSDPModule)
