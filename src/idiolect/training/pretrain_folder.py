"""Whether a folder holds a pretraining run, how far it has come, and whether it is this one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from idiolect.errors import ConfigError
from idiolect.training.pretrain_config import PretrainReport
from idiolect.types import Item, ItemId, Review

RECORD, CHECKPOINTS = "pretrain.json", "checkpoints"


def open_folder(folder: Path, wanted: Mapping[str, Any]) -> PretrainReport | None:
    """The report of a run that is already whole; None where there is work to do, begun or not.

    Args:
        folder: Of the run; made where absent.
        wanted: What must be the same for a run to go on or to count as done.

    Raises:
        ConfigError: The folder is another run's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RECORD
    if not path.is_file():
        write_record(folder, wanted)
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    changed = [name for name in wanted if wanted[name] != record.get(name)]
    if changed and ("report" in record or newest_checkpoint(folder)):
        raise ConfigError(
            f"{str(folder)!r} holds another backbone: its {' and '.join(changed)} changed", hint="choose another folder"
        )
    if changed:  # an attempt that came to nothing
        (folder / "tokenizer.json").unlink(missing_ok=True)
        write_record(folder, wanted)
    return PretrainReport(**record["report"]) if "report" in record else None


def newest_checkpoint(folder: Path) -> str | None:
    """Where an interrupted run goes on from; None: at the start."""
    # The Trainer writes its state last, so a checkpoint without it was interrupted.
    whole = [state.parent for state in (folder / CHECKPOINTS).glob("checkpoint-*/trainer_state.json")]
    newest = max(whole, key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2]), default=None)
    return newest and str(newest)


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Keep what a run is, and once it is whole what it did."""
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def digest(reviews: Sequence[Review], items: Mapping[ItemId, Item]) -> str:
    """A name for exactly this text, so that a run is never taken for one on other text (its targets may differ)."""
    state = hashlib.blake2b(digest_size=16)
    for value in (*reviews, *(items[id] for id in sorted(items))):
        state.update(repr(value).encode())
    return state.hexdigest()
