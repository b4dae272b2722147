"""Files to items and reviews, one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from idiolect.corpus.columns import ITEM_ALIASES, REVIEW_ALIASES, Aliases, resolve_columns
from idiolect.corpus.formats import ROWS, Format, resolve_format
from idiolect.corpus.records import Build, ItemBuilder, ReviewBuilder
from idiolect.corpus.rejects import RAW_CHARS, ReadSummary, Rejected, UnusableRow
from idiolect.corpus.rows import Row
from idiolect.errors import InputError
from idiolect.types import Item, Review

T = TypeVar("T")
OnReject = Callable[[Rejected], None]

_HEAD_ROWS = 1000


class RecordFile(Generic[T]):
    """A file of records, read anew by each iteration; nothing of it is held in memory.

    Args:
        path: The file.
        format: How it is written.
        columns: The column of every field that has one.
        build: Makes a record of a row's cells and its place among the rows (from 0).
        on_reject: Called with every row that cannot be used, a ``RejectsWriter`` for instance.
    """

    def __init__(
        self, path: Path, format: Format, columns: Mapping[str, str], build: Build[T], on_reject: OnReject | None
    ) -> None:
        self.path = path
        self.format: Format = format
        self.columns = columns
        self._build = build
        self._on_reject = on_reject
        self._read = 0
        self._rejected: Counter[str] = Counter()

    def __iter__(self) -> Iterator[T]:
        """The records in the order of the file.

        Raises:
            InputError: The file is cut short or damaged.
        """
        self._read, self._rejected = 0, Counter()
        for row in ROWS[self.format](self.path):
            place, self._read = self._read, self._read + 1
            try:
                if isinstance(row.cells, str):
                    raise UnusableRow(row.cells)
                record = self._build(row.cells, place)
            except UnusableRow as unusable:
                self._reject(row, unusable.reason)
            else:
                yield record

    @property
    def summary(self) -> ReadSummary:
        """What the latest iteration came to (so far)."""
        accepted = self._read - self._rejected.total()
        return ReadSummary(read=self._read, accepted=accepted, rejected=dict(self._rejected))

    def _reject(self, row: Row, reason: str) -> None:
        self._rejected[reason] += 1
        if self._on_reject is not None:
            self._on_reject(Rejected(row.line, reason, _start(row.raw)))


ReviewFile = RecordFile[Review]
ItemFile = RecordFile[Item]


def open_reviews(
    path: Path | str,
    *,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    category: str = "",
    on_reject: OnReject | None = None,
) -> ReviewFile:
    """A file of reviews, ready to be iterated.

    Args:
        path: JSONL, CSV or Parquet, plain or gzipped.
        format: A ``Format``, or ``"auto"`` to tell it from the file.
        columns: The file's column by field (``user``, ``item``, ``text``, ``rating``, ``title``, ``timestamp``,
            ``review_id``, ``order``, ``category``) where the usual names do not find it.
        category: Prefixes item ids (``category/item``), so that they are unique among several categories' files. A
            ``category`` column does so row by row; where a cell is empty this one is taken.
        on_reject: Called with every row that cannot be used.

    Raises:
        InputError: The file cannot be read, is empty, or has no column for user, item or text.
        ConfigError: An unknown format or field is named.
    """
    opened, found, mapping = _open(path, format, columns, REVIEW_ALIASES, required=("user", "item", "text"))
    return ReviewFile(opened, found, mapping, ReviewBuilder(columns=mapping, category=category), on_reject)


def open_items(
    path: Path | str,
    *,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    category: str = "",
    on_reject: OnReject | None = None,
) -> ItemFile:
    """A file of items, ready to be iterated; as ``open_reviews``, with fields item, title, description, category.

    Item ids are prefixed where ``category`` is given or ``columns`` names the category's column; a category column
    that is merely found is only kept, for the reviews' file may not have it (Amazon 2023).
    """
    opened, found, mapping = _open(path, format, columns, ITEM_ALIASES, required=("item",))
    by_row = "category" in (columns or {})
    return ItemFile(opened, found, mapping, ItemBuilder(columns=mapping, category=category, by_row=by_row), on_reject)


def _open(
    path: Path | str, format: str, columns: Mapping[str, str] | None, aliases: Aliases, *, required: tuple[str, ...]
) -> tuple[Path, Format, dict[str, str]]:
    path = Path(path)
    found = resolve_format(path, format)
    head = list(islice(ROWS[found](path), _HEAD_ROWS))
    if not head:
        raise InputError(f"{str(path)!r} holds no rows", hint="check where it came from")
    present: dict[str, Any] = {}
    for row in head:
        if isinstance(row.cells, dict):
            present.update(dict.fromkeys(map(str, row.cells)))
    return path, found, resolve_columns(aliases, columns or {}, present, required=required, where=repr(str(path)))


def _start(raw: object) -> str:
    if isinstance(raw, bytes):
        return raw[:RAW_CHARS].decode("utf-8", "replace").rstrip("\r\n")
    return (",".join(raw) if isinstance(raw, list) else str(raw))[:RAW_CHARS]
