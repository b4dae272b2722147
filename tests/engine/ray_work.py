"""What the workers of the tests do. On the workers' path."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from idiolect.difference import bulk
from idiolect.encoders import HashEncoder
from idiolect.engine import RayEngine
from idiolect.errors import InputError
from idiolect.llm.fake import FakeLLM, fingerprint
from idiolect.llm.registry import BackboneConfig


def squares(folder: Path) -> Callable[[int], tuple[int, int]]:
    """Squares, and the process that computed them; task 5 ends its first process."""

    def work(task: int) -> tuple[int, int]:
        if task == 5:
            _die_once(folder / "squares")
        return task * task, os.getpid()

    return work


def streams(folder: Path) -> Callable[[int], Iterator[tuple[int, int]]]:
    """Twenty results per task; task 1 ends its first process after seven."""

    def work(task: int) -> Iterator[tuple[int, int]]:
        for k in range(20):
            if (task, k) == (1, 7):
                _die_once(folder / "streams")
            yield task, k

    return work


def deadly() -> Callable[[int], int]:
    """Always ends its process."""
    return lambda task: os._exit(1)


def refusing() -> Callable[[int], int]:
    """Raises an error of the library."""

    def work(task: int) -> int:
        raise InputError("no such thing", hint="try another")

    return work


class SlowEncoder(HashEncoder):
    """Takes a fifth of a second per call."""

    def encode(self, texts: list[str], *, batch_size: int = 32) -> np.ndarray:
        """See ``HashEncoder``."""
        time.sleep(0.2)
        return super().encode(texts)


def slow(argument: str) -> SlowEncoder:
    """An encoder by the name ``ray_work:slow``."""
    return SlowEncoder(16)


class FragileLLM(FakeLLM):
    """Ends its first process at its first batch; the backend ``ray_work:FragileLLM``, with a folder as model."""

    folder = Path()

    @classmethod
    def load(cls, config: BackboneConfig, *, progress: bool = False) -> FragileLLM:
        """See ``Backend``."""
        made = cls()
        made.folder = Path(config.model)
        return made

    def generate(self, prompts: Any, params: Any, *, schema: Any = None) -> Any:
        """See ``LLM.generate``."""
        _die_once(self.folder / "model")
        return super().generate(prompts, params)


class SlowLLM(FakeLLM):
    """Takes a while per batch of texts, and notes every prompt; the backend ``ray_work:SlowLLM``, a folder as model."""

    folder = Path()

    @classmethod
    def load(cls, config: BackboneConfig, *, progress: bool = False) -> SlowLLM:
        """See ``Backend``."""
        made = cls()
        made.folder = Path(config.model)
        return made

    def generate(self, prompts: Any, params: Any, *, schema: Any = None) -> Any:
        """See ``LLM.generate``."""
        time.sleep(0.3)
        with (self.folder / str(os.getpid())).open("a") as asked:
            asked.writelines(fingerprint(prompt) + "\n" for prompt in prompts)
        return super().generate(prompts, params)


class SlowEngine(RayEngine):
    """Takes a while per task."""

    def map(self, make: Any, tasks: Iterable[Any], *, gpu: bool = False) -> Iterator[Any]:
        """See ``Engine``."""
        return super().map(partial(_slowly, make), tasks, gpu=gpu)


def _slowly(make: Callable[[], Callable[[Any], Any]]) -> Callable[[Any], Any]:
    work = make()

    def slow_work(task: Any) -> Any:
        time.sleep(0.05)
        return work(task)

    return slow_work


def compare(export: str, out: str) -> None:
    """Differences of a small export in as many tasks as a large one has."""
    bulk._RANGE = 100
    bulk.differences(export, out, engine=SlowEngine(), bucket_rows=100)


def _die_once(mark: Path) -> None:
    if not mark.exists():
        mark.write_text("")
        os._exit(1)
