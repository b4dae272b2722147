"""What the stages of a long run cost, in seconds by the clock and of processor time, over interrupted calls."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, ValidationError

from idiolect.errors import ArtifactError
from idiolect.pipeline import results

_EVERY = 10.0
"""Seconds between records of a running stage: a kill loses no more."""


class Cost(BaseModel):
    """Of one stage."""

    model_config = ConfigDict(extra="forbid")

    seconds: NonNegativeFloat = 0.0
    """By the clock."""
    processor_seconds: NonNegativeFloat = 0.0
    """Of all threads, and of child processes that have ended."""
    calls: NonNegativeInt = 0
    """How often it was begun."""
    finished: bool = False


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")

    stages: dict[str, Cost] = {}
    earlier: list[str] = []
    """Stages that were finished before any cost was recorded."""
    threads: list[NonNegativeInt] = []
    cores: list[NonNegativeInt] = []


class Costs:
    """Records what stages cost in a JSON file, also while they run.

    A stage that an earlier call was interrupted in goes on from the recorded cost. One that is finished is not counted
    again, because later calls only read it back.

    Args:
        path: The file; may be absent.
        every: Seconds between records of a running stage.

    Raises:
        ArtifactError: The file is damaged.

    Example:
        >>> costs = Costs(Path("cost.json"))  # doctest: +SKIP
        >>> with costs.stage("pretraining"):  # doctest: +SKIP
        ...     pretrain()
    """

    def __init__(self, path: Path, *, every: float = _EVERY) -> None:
        self._path, self._every = path, every
        known = results.read_json(path) if path.is_file() else {}
        try:
            self._record = _Record.model_validate(known)
        except ValidationError as error:
            raise ArtifactError(f"{str(path)!r} is no record of costs", hint="remove it") from error

    @property
    def stages(self) -> Mapping[str, Cost]:
        """By name, in the order in which they were begun."""
        return self._record.stages

    @contextmanager
    def stage(self, name: str, *, output: Path | None = None) -> Iterator[None]:
        """Count what the block costs.

        Args:
            name: For readers.
            output: What a finished stage leaves behind. If it is there before the stage was ever recorded, an earlier
                version made it, and its cost is not known.
        """
        known = self._record.stages.get(name)
        if known is None and output is not None and output.exists() and name not in self._record.earlier:
            self._record.earlier.append(name)
        if name in self._record.earlier or (known is not None and known.finished):
            yield
            return
        self._note_machine()
        before, began = known or Cost(), _now()
        ended = threading.Event()

        def save(*, finished: bool = False) -> None:
            took = [now - then for now, then in zip(_now(), began, strict=True)]
            self._record.stages[name] = Cost(
                seconds=round(before.seconds + took[0], 3),
                processor_seconds=round(before.processor_seconds + took[1], 3),
                calls=before.calls + 1,
                finished=finished,
            )
            results.write_json(self._path, self._record.model_dump())

        def keep_saving() -> None:
            while not ended.wait(self._every):
                with suppress(OSError):  # a full disk is reported by what needs the room
                    save()

        save()
        saver = threading.Thread(target=keep_saving, daemon=True)
        saver.start()
        finished = False
        try:
            yield
            finished = True
        finally:
            ended.set()
            saver.join()
            save(finished=finished)

    def _note_machine(self) -> None:
        import torch

        for found, seen in ((torch.get_num_threads(), self._record.threads), (_cores(), self._record.cores)):
            if found not in seen:
                seen.append(found)

    def to_markdown(self) -> str:
        """A table of all stages with their sum, and notes on what is counted."""
        lines = ["| stage | seconds by the clock | seconds of processor time |", "| --- | ---: | ---: |"]
        lines += [f"| {name} | {one.seconds:.0f} | {one.processor_seconds:.0f} |" for name, one in self.stages.items()]
        clock = sum(one.seconds for one in self.stages.values())
        processor = sum(one.processor_seconds for one in self.stages.values())
        lines.append(f"| all | {_hours(clock)} | {_hours(processor)} |")
        return "\n".join([*lines, "", " ".join(self._notes())])

    def _notes(self) -> Iterator[str]:
        record = self._record
        if record.threads:
            yield f"PyTorch used {_either(record.threads, 'thread')} on {_either(record.cores, 'core')}."
        yield (
            "Processor time is that of all threads. A stage that was interrupted counts all calls, but for the last "
            f"{self._every:.0f} seconds before a kill; one that a later call only reads back is not counted again."
        )
        if again := [name for name, one in self.stages.items() if one.calls > 1]:
            yield f"Interrupted: {', '.join(again)}."
        if record.earlier:
            yield f"Without a record of their own: {', '.join(record.earlier)}."


def _now() -> tuple[float, float]:
    """Seconds by the clock, and of processor time."""
    used: Any = os.times()
    return time.monotonic(), used.user + used.system + used.children_user + used.children_system


def _cores() -> int:
    """Those that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _either(numbers: list[int], what: str) -> str:
    return f"{' or '.join(map(str, numbers))} {what}{'' if numbers == [1] else 's'}"


def _hours(seconds: float) -> str:
    return f"{seconds:.0f} ({seconds / 3600:.2f} hours)"
