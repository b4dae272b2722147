"""Progress of a long loop: a bar if standard error is a terminal, else one line per minute for log files."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any, Self, TextIO

from tqdm.auto import tqdm

from idiolect.errors import visible

INTERVAL_S = 60.0
"""Seconds between two lines."""


class Progress:
    """Shows the progress of a loop: use it in a ``with`` block and call ``update``.

    If a launcher started several processes, only the first one prints.

    Args:
        total: Steps of the whole; None: not known.
        what: The loop's name.
        unit: What is counted, in the singular.
        shown: Whether to show anything.
        done: Steps that an earlier run made.
        keep: A bar stays on the screen at the end.
        stream: Where to; None: standard error.
        clock: Seconds from any start.

    Example:
        >>> with Progress(2, "embed", "text", shown=False) as progress:
        ...     for _ in range(2):
        ...         progress.update()
    """

    def __init__(
        self,
        total: int | None,
        what: str,
        unit: str,
        *,
        shown: bool,
        done: int = 0,
        keep: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._what, self._unit, self._clock = total, what, unit, clock
        self._stream = sys.stderr if stream is None else stream
        self._first = self._done = done
        self._note = ""
        self._started = self._printed = clock()
        self._shown = shown and int(os.environ.get("RANK", "0")) == 0
        terminal = self._shown and self._stream.isatty()
        how: dict[str, Any] = {"initial": done, "desc": what, "unit": unit, "leave": keep, "file": self._stream}
        self._bar = tqdm(total=total, **how) if terminal else None

    def update(self, steps: int = 1) -> None:
        """Report that ``steps`` more steps are done."""
        self._done += steps
        if self._bar is not None:
            self._bar.update(steps)
        elif self._shown and self._clock() - self._printed >= INTERVAL_S:
            self._printed = self._clock()
            print(self._line(), file=self._stream, flush=True)

    def note(self, text: str) -> None:
        """Set the text that is shown after the numbers, such as losses."""
        self._note = visible(text, one_line=True)
        if self._bar is not None:
            self._bar.set_postfix_str(self._note)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _line(self) -> str:
        rate = (self._done - self._first) / max(self._printed - self._started, 1e-9)
        of = "" if self._total is None else f" of {self._total:,}"
        parts = [f"{self._what}: {self._done:,}{of} {self._unit}s", _rate(rate, self._unit)]
        if self._total is not None and rate > 0:
            parts.append(f"about {_span((self._total - self._done) / rate)} left")
        return ", ".join([*parts, *([self._note] if self._note else [])])


def tell(line: str) -> None:
    """One line on standard error; of several processes the first one alone prints it."""
    if int(os.environ.get("RANK", "0")) == 0:
        sys.stderr.write(visible(line) + "\n")
        sys.stderr.flush()


def _rate(per_second: float, unit: str) -> str:
    if per_second >= 1:
        return f"{per_second:,.1f} {unit}s/s"
    if per_second * 60 >= 1:
        return f"{per_second * 60:.1f} {unit}s/min"
    return f"{per_second * 3600:.1f} {unit}s/h"


def _span(seconds: float) -> str:
    minutes = max(0, round(seconds / 60))
    if minutes < 1:
        return f"{max(0, round(seconds))} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
