"""What works on this machine, and what work would take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from idiolect.diagnostics import Diagnosis, examine

if TYPE_CHECKING:
    from idiolect.planning import Device, Plan


def doctor() -> Diagnosis:
    """Check Python, extras, device, encoder, WordNet and the shipped model. ``Store.check`` looks a store over.

    Returns:
        A sequence of checks (``name``, ``ok``, ``detail``, ``remedy``) that prints as lines; ``.ok`` if none failed.

    Example:
        >>> doctor()[0].name
        'python'
    """
    return examine()


def plan(
    what: str | Path,
    *,
    device: str | Device = "h100",
    devices: int = 1,
    sharded: bool = False,
    train: int = 1000,
    test: int = 1000,
    dim: int = 1024,
    settings: dict[str, Any] | None = None,
) -> Plan:
    """The memory and hours that ``fit`` and ``evaluate`` would take, with the arithmetic. Nothing is loaded.

    Args:
        what: YAML file of settings, or a language model: a size of Qwen2.5 (``7b``), or a folder.
        device: ``h100``, ``h200``, ``a100-40``, ``a100-80``, ``l40s``, ``rtx4090`` or ``cpu``, or one by its figures.
        devices: How many of them ``fit`` runs on; ``evaluate`` runs on one.
        sharded: Whether the backbone's layers are spread over them (FSDP), and not copied to each.
        train: Training examples.
        test: Evaluated targets.
        dim: Width of the encoder's vectors.
        settings: Settings that go before the file (``{"fit": {"checkpointing": True}}``).

    Raises:
        ConfigError: A setting or device is unknown, or a model is behind an endpoint, whose memory is not ours.
        NotFoundError: The backbone's shape is not known, and it is no folder with a configuration.

    Example:
        >>> plan("7b", train=3996).shape.parameters
        7615616512
    """
    from idiolect.config import load, merge
    from idiolect.pipeline.settings import Settings
    from idiolect.planning import plan as planned

    config = Path(what) if str(what).endswith((".yaml", ".yml")) else None
    changes = settings or {} if config else merge({"backbone": {"model": str(what)}}, settings or {})
    sizes = {"devices": devices, "sharded": sharded, "train": train, "test": test, "dim": dim}
    return planned(load(Settings, config, changes), device=device, **sizes)
