"""A JSON array of objects to rows, without holding the array."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from idiolect.corpus.lines import MAX_LINE
from idiolect.corpus.rejects import RAW_CHARS
from idiolect.corpus.rows import Row
from idiolect.corpus.source import open_bytes, readable, shown
from idiolect.errors import InputError

_CHUNK = 2**20
_DECODER = json.JSONDecoder(strict=False)  # a raw NUL in a string is then the row's own fault
_BETWEEN = " \t\r\n,"


def array_rows(path: Path) -> Iterator[Row]:
    """Rows of a file that is one JSON array of objects.

    Raises:
        InputError: It is damaged; where one value is no JSON, nothing tells where the next begins.
    """
    with readable(path), open_bytes(path) as file:
        window = _Window(io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline=""), path)
        window.open()
        while window.has_value():
            line, value = window.line, window.take()
            yield Row(line, value if isinstance(value, dict) else "not an object", window.taken)
        window.close()


class _Window:
    """The part of a text that is being decoded."""

    def __init__(self, source: io.TextIOWrapper, path: Path) -> None:
        self._source = source
        self._path = path
        self.text = ""
        self.pos = 0
        self.line = 1
        self.taken = ""
        """How the latest value begins."""

    def open(self) -> None:
        """Steps over the opening bracket."""
        self._skip(_BETWEEN)
        if self.text[self.pos : self.pos + 1] != "[":
            raise InputError(f"{shown(self._path)} is no JSON array", hint="one object a line is --format jsonl")
        self._step(self.pos + 1)

    def has_value(self) -> bool:
        """Whether a value follows; the position is then at its start."""
        self._skip(_BETWEEN)
        return self.text[self.pos : self.pos + 1] not in ("", "]")

    def take(self) -> Any:
        """The value at the position, which moves behind it."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.pos)
            except (ValueError, RecursionError) as error:
                if isinstance(error, RecursionError) or not self._widen():
                    raise self._damaged() from error
                continue
            if end < len(self.text) or not self._widen():  # a number may go on behind the window
                self.taken = self.text[self.pos : min(end, self.pos + RAW_CHARS)]
                self._step(end)
                return value

    def close(self) -> None:
        """Checks that the array ends here and the file with it."""
        if self.text[self.pos : self.pos + 1] != "]":
            raise self._damaged()
        self._step(self.pos + 1)
        self._skip(" \t\r\n")
        if self.pos < len(self.text):
            hint = "one object a line is --format jsonl"
            raise InputError(f"{shown(self._path)} goes on after its array ends (line {self.line})", hint=hint)

    def _skip(self, what: str) -> None:
        while True:
            rest = self.text[self.pos : self.pos + 256]
            blank = len(rest) - len(rest.lstrip(what))
            self._step(self.pos + blank)
            if blank < len(rest) or (self.pos == len(self.text) and not self._widen()):
                return

    def _step(self, end: int) -> None:
        self.line += self.text.count("\n", self.pos, end)
        self.pos = end

    def _widen(self) -> bool:
        """Read as much again as is undecoded, so that a long value costs no more than twice its length."""
        undecided = len(self.text) - self.pos
        more = "" if undecided > MAX_LINE else self._source.read(max(_CHUNK, undecided))
        self.text, self.pos = (self.text[self.pos :] + more, 0) if more else (self.text, self.pos)
        return bool(more)

    def _damaged(self) -> InputError:
        return InputError(
            f"{shown(self._path)} is cut short or no JSON from line {self.line} on: {self.text[self.pos :][:60]!r}",
            hint="mend or fetch it again; one object a line (JSONL) loses only the bad lines",
        )
