"""Rows that hold more than one record, taken apart into rows of one.

The cells that come out have the names that ``columns`` looks for first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import takewhile
from typing import Any, NamedTuple

from idiolect.corpus.parts import Part
from idiolect.corpus.rejects import UnusableRow
from idiolect.corpus.rows import Row
from idiolect.corpus.times import parse_timestamp

Unnest = Callable[[Row], Iterator[Row]]


class Layout(NamedTuple):
    """How the rows of a format are taken apart."""

    reviews: Callable[[Part], Unnest]
    """Makes what takes apart the rows of a part that holds reviews."""
    items: Callable[[Part], Unnest] | None = None
    """The same for the items that stand in the same rows; None where items have files of their own."""


class About(NamedTuple):
    """What a text was written about."""

    title: str = ""
    description: str = ""


def about_id(about: About, user: Any, text: Any) -> str:
    """An id for what has none: equal for all who wrote about the same thing, the text's own where nothing is known."""
    known = about.title or about.description
    parts = (str(about.title), str(about.description)) if known else (str(user), str(text))
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def entries(row: Row, profile: object) -> Iterator[Row]:
    """The entries of a profile, one row each; whatever is no entry comes as the reason why."""
    if not isinstance(profile, list):
        yield Row(row.line, "missing profile" if profile is None else "wrong type: profile", row.raw)
        return
    for entry in profile:
        yield Row(row.line, entry if isinstance(entry, dict) else "wrong type: profile entry", entry)


def relabelled(row: Row, cells: dict[str, Any] | str) -> Row:
    """``row`` with other cells, unless it has none."""
    return row if isinstance(row.cells, str) else Row(row.line, cells, row.raw)


class Past:
    """The known times of the entries of a profile: what is written after them is dated by the last."""

    def __init__(self) -> None:
        self._last: dict[bool, int] = {}
        """The last one, and the last tick of what is no time but a mere clock."""

    def note(self, timestamp: Any) -> None:
        """An entry of this time; one that cannot be read tells nothing."""
        for clock in (False, True):
            with suppress(UnusableRow):
                seconds = parse_timestamp(timestamp, clock=clock)
                if seconds is not None:
                    self._last[clock] = max(seconds, self._last.get(clock, 0))
                return

    def after(self, timestamp: Any) -> Any:
        """When the text after the profile was written: its own time, never before the last entry's."""
        self.note(timestamp)
        # A moment cannot be taken for a year or a day, as seconds of the first years may be.
        return (
            datetime.fromtimestamp(self._last[False], UTC) if False in self._last else self._last.get(True, timestamp)
        )


def is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def one_of(cells: Mapping[str, Any], *names: str) -> Any:
    """The first of these columns that holds anything."""
    return next((cells[name] for name in names if cells.get(name) not in (None, "")), None)


def config_in(trail: tuple[str, ...], configs: tuple[str, ...]) -> str:
    """Which of ``configs`` a part belongs to, by the names that lead to it (``Books/train.parquet``); else nothing."""
    for name in reversed(trail):
        start = "".join(takewhile(lambda letter: letter.isalnum() or letter == "_", name))
        found = next((config for config in configs if start == config or name.startswith(config)), "")
        if found:
            return found
    return ""
