"""Whether a folder holds an interrupted fit, and whether it is this one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from idiolect.errors import ConfigError
from idiolect.softprompt.config import AdapterConfig
from idiolect.training.config import FitConfig
from idiolect.training.examples import Example, digest

CHECKPOINTS = "checkpoints"


def identity(adapter: AdapterConfig, fit: FitConfig, examples: Sequence[Example]) -> dict[str, Any]:
    """What must be the same for a fit to go on."""
    return {"fit": fit.model_dump(), "adapter": adapter.model_dump(), "examples": digest(examples)}


def open_folder(folder: Path, wanted: Mapping[str, Any], *, resume: bool) -> str | None:
    """The newest whole checkpoint in ``folder``; None after making it ready for a new fit.

    Args:
        folder: Of the fit.
        wanted: The ``identity`` of the fit that is about to run.
        resume: False removes the checkpoints that are there.

    Raises:
        ConfigError: The checkpoints are another fit's.
    """
    path, checkpoints = folder / "fit.json", folder / CHECKPOINTS
    # The Trainer writes its state last, so a checkpoint without it was interrupted.
    whole = [state.parent for state in checkpoints.glob("checkpoint-*/trainer_state.json")]
    if resume and whole:
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        changed = sorted(name for name in wanted if wanted[name] != known.get(name))
        if changed:
            raise ConfigError(
                f"{str(folder)!r} holds checkpoints of another fit: {', '.join(changed)} changed",
                hint="name another folder, or start anew with resume=False",
            )
        return str(max(whole, key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2])))
    shutil.rmtree(checkpoints, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    return None
