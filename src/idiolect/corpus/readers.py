"""Files to items and reviews."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from idiolect.corpus.columns import ITEM_ALIASES, REVIEW_ALIASES, Aliases, resolve_columns
from idiolect.corpus.dpl import category_of
from idiolect.corpus.formats import LAYOUTS, Format, Written, tell_format
from idiolect.corpus.layouts import Unnest
from idiolect.corpus.parts import Part, Parts, find_parts
from idiolect.corpus.record_file import OnReject, OpenPart, RecordFile, rows_of
from idiolect.corpus.records import ItemBuilder, ReviewBuilder
from idiolect.errors import InputError
from idiolect.types import Item, Review

T = TypeVar("T")

_HEAD_ROWS = 1000

ReviewFile = RecordFile[Review]
ItemFile = RecordFile[Item]


def open_reviews(
    where: Path | str | Parts,
    *,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    category: str = "",
    on_reject: OnReject | None = None,
    max_rejects: float = 1.0,
    pseudonym: Callable[[str], str] | None = None,
) -> ReviewFile:
    """Reviews, ready to be iterated.

    Args:
        where: A file (plain, gzip or zstd; a pipe too), a folder, pattern or tar archive of such files, ``-`` for
            standard input, or ``hf://owner/name[/config[/split]]``; or what another ``RecordFile`` has as ``where``.
        format: A ``Format``, or ``"auto"`` to tell it from the content.
        columns: The file's column by field (``user``, ``item``, ``text``, ``rating``, ``title``, ``timestamp``,
            ``review_id``, ``order``, ``category``) where the usual names do not find it; ``"-"`` for none.
        category: Prefixes item ids (``category/item``), so that they are unique among several categories' files. A
            ``category`` column does so row by row, and the authors' sets by the names of their parts; where these are
            empty this one is taken.
        on_reject: Called with every row that cannot be used.
        max_rejects: Share of rejected rows beyond which reading ends early.
        pseudonym: What users' ids are turned into; None: they are left as they are.

    Raises:
        InputError: It cannot be read, is empty, or has no column for user, item or text.
        ConfigError: An unknown format or field is named.
    """

    def open_part(part: Part, written: Written) -> OpenPart[Review]:
        layout = LAYOUTS.get(written.format)
        unnest = layout.reviews(part) if layout else None
        found = _columns(part, written, unnest, columns or {}, REVIEW_ALIASES, ("user", "item", "text"))
        build = ReviewBuilder(columns=found, category=_of(part, written, category), pseudonym=pseudonym)
        return OpenPart(part, written, unnest, found, build)

    return _open(where, format, open_part, on_reject, max_rejects)


def open_items(
    where: Path | str | Parts,
    *,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    category: str = "",
    on_reject: OnReject | None = None,
    max_rejects: float = 1.0,
) -> ItemFile:
    """Items, ready to be iterated; as ``open_reviews``, with fields item, title, description, category.

    Item ids are prefixed where ``category`` is given or ``columns`` names the category's column; a category column
    that is merely found is only kept, for the reviews' file may not have it (Amazon 2023).
    """
    named = columns or {}

    def open_part(part: Part, written: Written) -> OpenPart[Item]:
        layout = LAYOUTS.get(written.format)
        unnest = layout.items(part) if layout and layout.items else None
        usual = {**_USUAL.get(written.format, {}), **named}
        found = _columns(part, written, unnest, usual, ITEM_ALIASES, ("item",))
        build = ItemBuilder(columns=found, category=_of(part, written, category), by_row="category" in named)
        return OpenPart(part, written, unnest, found, build)

    return _open(where, format, open_part, on_reject, max_rejects)


_USUAL: Mapping[Format, Mapping[str, str]] = {"yelp": {"description": "categories"}}
"""Columns of items that go by no usual name: Yelp describes a business by its categories."""


def _open(
    where: Path | str | Parts,
    format: str,
    open_part: Callable[[Part, Written], OpenPart[T]],
    on_reject: OnReject | None,
    max_rejects: float,
) -> RecordFile[T]:
    found = find_parts(where)
    parts = tuple(open_part(part, tell_format(part, format)) for part in found.parts)
    return RecordFile(parts, skipped=found.skipped, on_reject=on_reject, max_rejects=max_rejects)


def _of(part: Part, written: Written, category: str) -> str:
    return (category_of(part) if written.format == "dpl" else "") or category


def _columns(
    part: Part,
    written: Written,
    unnest: Unnest | None,
    named: Mapping[str, str],
    aliases: Aliases,
    required: tuple[str, ...],
) -> dict[str, str]:
    present: dict[str, Any] = {}
    row = None
    for row in islice(rows_of(part, written, unnest), _HEAD_ROWS):
        if isinstance(row.cells, dict):
            present.update(dict.fromkeys(map(str, row.cells)))
    if row is None:
        raise InputError(f"{part.name!r} holds no rows", hint="check where it came from")
    return resolve_columns(aliases, named, present, required=required, where=repr(part.name))
