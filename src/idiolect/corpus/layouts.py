"""Rows that hold more than one record, taken apart into rows of one.

The cells that come out have the names that ``columns`` looks for first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from itertools import takewhile
from typing import Any, NamedTuple

from idiolect.corpus.parts import Part
from idiolect.corpus.rows import Row

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
    return blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


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
