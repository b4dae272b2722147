"""What a fit writes down and shows while it runs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from idiolect.progress import Progress


class JsonLines(TrainerCallback):
    """One line per log record; a resumed run first drops the lines written after its checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write the records of the checkpoint."""
        if state.is_world_process_zero:
            lines = (json.dumps(record) + "\n" for record in state.log_history)
            self.path.write_text("".join(lines), encoding="utf-8")

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Append the newest record."""
        if state.is_world_process_zero:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(state.log_history[-1]) + "\n")


class EpochTimer(TrainerCallback):
    """Wall seconds of each epoch of this run, without the validation after it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._start = 0.0

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop the clock."""
        self.seconds.append(time.perf_counter() - self._start)


class Bar(TrainerCallback):
    """Tells on the main process how many optimiser steps are done.

    Args:
        what: What is trained: ``fit`` or ``pretrain``.
    """

    def __init__(self, what: str = "fit") -> None:
        self._what = what
        self._bar: Progress | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open it where the run starts."""
        if state.is_world_process_zero:
            self._bar = Progress(state.max_steps, self._what, "step", shown=True, done=state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """One step."""
        if self._bar is not None:
            self._bar.update()

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The newest losses beside it."""
        record = state.log_history[-1]
        if self._bar is not None:
            self._bar.note(", ".join(f"{k} {record[k]:.3f}" for k in ("loss", "generation") if k in record))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close it."""
        if self._bar is not None:
            self._bar.close()
