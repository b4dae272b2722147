"""Whether a folder holds an interrupted fit, and whether it is this one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from idiolect.errors import ConfigError
from idiolect.softprompt.config import AdapterConfig
from idiolect.training.config import FitConfig
from idiolect.training.examples import Example, digest
from idiolect.training.report import REPORT

CHECKPOINTS = "checkpoints"


def identity(
    adapter: AdapterConfig, fit: FitConfig, examples: Sequence[Example], depends: Mapping[str, str]
) -> dict[str, Any]:
    """What must be the same for a fit to go on: ``depends`` is what the examples do not show, the backbone first."""
    own = {"fit": fit.model_dump(), "adapter": adapter.model_dump(), "examples": digest(examples)}
    return {**own, **depends}


class FolderState(NamedTuple):
    """How far a fit has come."""

    checkpoint: str | None
    """The newest whole checkpoint; None: none yet."""
    finished: bool


def open_folder(folder: Path, wanted: Mapping[str, Any], *, resume: bool) -> FolderState:
    """How far the fit in ``folder`` has come; a folder without one is made ready.

    Args:
        folder: Of the fit.
        wanted: The ``identity`` of the fit that is about to run.
        resume: False removes what an earlier fit left.

    Raises:
        ConfigError: The folder is another fit's.
    """
    path, checkpoints, finished = folder / "fit.json", folder / CHECKPOINTS, (folder / REPORT).is_file()
    # The Trainer writes its state last, so a checkpoint without it was interrupted.
    whole = [state.parent for state in checkpoints.glob("checkpoint-*/trainer_state.json")]
    if resume and (whole or finished):
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        changed = sorted(name for name in wanted if wanted[name] != known.get(name))
        if changed:
            raise ConfigError(
                f"{str(folder)!r} holds another fit: {', '.join(changed)} changed",
                hint="name another folder, or start anew (--restart, resume=False)",
            )
        newest = max(whole, key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2]), default=None)
        return FolderState(newest and str(newest), finished)
    shutil.rmtree(checkpoints, ignore_errors=True)
    (folder / REPORT).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    return FolderState(None, finished=False)
