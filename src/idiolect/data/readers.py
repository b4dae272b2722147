"""Open files of reviews or items: their format, their columns, and which files of several hold other records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from idiolect.data.files import OtherContentError, plain_name
from idiolect.data.formats import LAYOUTS, Format, Unnest, Written, category_of, detect_format
from idiolect.data.parts import Part, Parts, find_parts
from idiolect.data.record_file import ItemFile, OnReject, OpenPart, RecordFile, ReviewFile, rows_of
from idiolect.data.records import (
    ITEM_ALIASES,
    REVIEW_ALIASES,
    Aliases,
    Columns,
    ItemBuilder,
    ReviewBuilder,
    cell_of,
    column_names,
    resolve_columns,
)
from idiolect.data.threads import (
    THREAD_ALIASES,
    columns_of_thread,
    has_full_names,
    is_subject,
    is_thread,
    rows_with_thread,
)
from idiolect.data.times import Ticks
from idiolect.data.values import is_float_id
from idiolect.errors import InputError
from idiolect.types import Item, Review

T = TypeVar("T")

_HEAD_ROWS = 1000
_MOST_COLUMNS = 2000
"""Names after which the members of objects are no longer counted as columns."""
_IDS = ("user", "item", "review_id")


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

    def open_part(part: Part, written: Written, several: bool) -> OpenPart[Review]:
        layout = LAYOUTS.get(written.format)
        unnest = layout.reviews(part) if layout else None
        present = _present(part, written, unnest)
        if several:
            _check_kind(part, written, present, "reviews")
        found = _resolved(part, REVIEW_ALIASES, columns or {}, present, ("user", "item", "text"))
        timestamps = present.get(found.of.get("timestamp", ""))
        build = ReviewBuilder(
            columns=found.of,
            category=_of(part, written, category),
            pseudonym=pseudonym,
            floats=_floats(found, present),
            clock=timestamps is not None and timestamps.ticks.found,
            users_of_category=written.format == "dpl",
            subjects=unnest is None and is_subject(found.of["item"]),
            full_names=unnest is None and has_full_names(found.of["item"], present),
        )
        thread = None
        if unnest is None and is_thread(item := found.of["item"]):
            thread = columns_of_thread(_resolved(part, THREAD_ALIASES, {"item": item}, present, ("item",)), found)
            used = set((thread or {}).values())
            found = replace(found, unused=tuple(name for name in found.unused if name not in used))
        return OpenPart(part, written, unnest, found, build, thread)

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
    open_part = partial(_open_items, columns or {}, category)
    return _open(where, format, open_part, on_reject, max_rejects)


def items_in(
    file: ReviewFile,
    *,
    columns: Mapping[str, str] | None = None,
    category: str = "",
    on_reject: OnReject | None = None,
    max_rejects: float = 1.0,
) -> ItemFile:
    """The items that the rows of reviews hold; ``file.carries_items`` says whether there are any.

    The arguments are those of ``open_items``. Of threads beside their posts, a row without title and first post is
    passed over.
    """
    named, parts = columns or {}, list[OpenPart[Item]]()
    for part in (one for one in file.parts if one.carries_items):
        of = {**(part.thread or {}), **named}
        found = _open_items(of, category, part.part, part.written, False)
        if part.thread is not None:  # the posts' part says which columns are not used
            shown = replace(found.columns, unused=())
            found = found._replace(unnest=rows_with_thread(shown.of), columns=shown, thread=part.thread)
        parts.append(found)
    return RecordFile(tuple(parts), on_reject=on_reject, max_rejects=max_rejects)


def _open_items(named: Mapping[str, str], category: str, part: Part, written: Written, several: bool) -> OpenPart[Item]:
    """A part of items; ``named`` are the columns that the user or the reviews' part names."""
    layout = LAYOUTS.get(written.format)
    unnest = layout.items(part) if layout and layout.items else None
    present = _present(part, written, unnest)
    if several:
        _check_kind(part, written, present, "items")
    found = _resolved(part, ITEM_ALIASES, {**_USUAL.get(written.format, {}), **named}, present, ("item",))
    build = ItemBuilder(
        columns=found.of,
        category=_of(part, written, category),
        by_row="category" in named,
        full_names=unnest is None and has_full_names(found.of["item"], present),
        floats=_floats(found, present),
    )
    return OpenPart(part, written, unnest, found, build)


_USUAL: Mapping[Format, Mapping[str, str]] = {"yelp": {"description": "categories"}}
"""Columns of items that go by no usual name: Yelp describes a business by its categories."""


def _open(
    where: Path | str | Parts,
    format: str,
    open_part: Callable[[Part, Written, bool], OpenPart[T]],
    on_reject: OnReject | None,
    max_rejects: float,
) -> RecordFile[T]:
    """Each part of a location; one of several that holds other records is left out, and named with the reason."""
    found, parts, skipped = find_parts(where), list[OpenPart[T]](), dict[str, str]()
    several = len(found.parts) > 1
    for part in found.parts:
        try:
            parts.append(open_part(part, detect_format(part, format), several))
        except OtherContentError as error:
            skipped[part.name] = error.message.removeprefix(repr(part.name)).strip()[:_REASON_CHARS]
            if len(skipped) == len(found.parts):
                raise
    return RecordFile(tuple(parts), skipped={**found.skipped, **skipped}, on_reject=on_reject, max_rejects=max_rejects)


_REASON_CHARS = 120
_YELP: Mapping[str, str] = {
    "yelping_since": "users",
    "compliment_count": "tips",
    "photo_id": "photos",
    "review_id": "reviews",
    "categories": "items",
    "is_open": "items",
}
"""What a file of Yelp's holds, by a column that only this one has; check-ins have none."""


def _check_kind(part: Part, written: Written, present: Mapping[str, Any], wanted: str) -> None:
    """Raise where one file of several is known to hold something else.

    Raises:
        OtherContentError: With what it holds.
    """
    holds = next((kind for column, kind in _YELP.items() if column in present), wanted)
    if set(present) <= {"business_id", "date"}:
        holds = "check-ins"
    elif holds == "items" and "text" in present:  # reviews of one's own, with what they are about
        holds = wanted
    if written.format == "yelp" and holds != wanted:
        name = "businesses (name them with items=)" if holds == "items" else holds
        raise OtherContentError(f"holds Yelp's {name}, not {wanted}", hint="name the file itself to read it as such")
    if not present and written.format == "jsonl" and part.path and plain_name(part.path).endswith(".json"):
        raise OtherContentError("holds no JSON object in a line, and no array of them", hint="check what it is")


def _of(part: Part, written: Written, category: str) -> str:
    return (category_of(part) if written.format == "dpl" else "") or category


class _Cells:
    """What was seen of the cells of a column; they themselves may be too large to be kept."""

    def __init__(self) -> None:
        self.floats: set[bool | None] = set()
        self.ticks = Ticks()

    def note(self, cell: Any) -> None:
        """One more of them."""
        self.floats.add(is_float_id(cell))
        self.ticks.note(cell)


def _present(part: Part, written: Written, unnest: Unnest | None) -> dict[str, _Cells]:
    """The columns that the first rows have; none where no row could be read.

    Raises:
        OtherContentError: There are no rows.
    """
    present: dict[str, _Cells] = {}
    row = None
    for row in islice(rows_of(part, written, unnest), _HEAD_ROWS):
        if isinstance(row.cells, dict):
            names = (
                column_names(row.cells)
                if len(present) < _MOST_COLUMNS
                else (name for name in row.cells if isinstance(name, str))
            )
            for name in names:
                present.setdefault(name, _Cells()).note(cell_of(row.cells, name))
    if row is None:
        raise OtherContentError(f"{part.name!r} holds no rows", hint="check where it came from")
    return present


def _resolved(
    part: Part, aliases: Aliases, named: Mapping[str, str], present: Mapping[str, Any], required: tuple[str, ...]
) -> Columns:
    how = {"spelled": "item_columns={{'{field}': {name}}}"} if aliases is ITEM_ALIASES else {}
    try:
        return resolve_columns(aliases, named, present, required=required, where=repr(part.name), **how)
    except InputError as error:
        raise OtherContentError(error.message, hint=error.hint) from error


def _floats(found: Columns, present: Mapping[str, _Cells]) -> frozenset[str]:
    """Fields of ids that a table wrote as floats: ``1001.0`` in every row that has one."""
    seen = {field: present[column].floats for field in _IDS if (column := found.of.get(field, "")) in present}
    return frozenset(field for field, floats in seen.items() if floats - {None} == {True})
