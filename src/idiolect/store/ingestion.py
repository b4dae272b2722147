"""Ingest files into a store with an account of every row, reconcile import conflicts, and add single reviews."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from itertools import islice
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from idiolect.config import Config
from idiolect.data.files import STDIN_NAME, cleaning_up, printable, real_path, stream_id
from idiolect.data.parts import STDIN, Parts, default_rejects
from idiolect.data.readers import (
    ItemFile,
    Located,
    OnReject,
    RecordFile,
    ReviewFile,
    items_in,
    open_items,
    open_reviews,
)
from idiolect.data.records import Columns, digest_id
from idiolect.data.rejects import REMEDIES, SUSPICIOUS, LostField, ReadSummary, Rejected, RejectsWriter, UnusableRow
from idiolect.data.times import FIRST_SECOND, LATEST, parse_timestamp
from idiolect.data.values import clean_id
from idiolect.encoders import Encoder, load_encoder
from idiolect.engine import Engine, EngineName, open_engine
from idiolect.errors import ConfigError, InputError, NotFoundError
from idiolect.progress import Progress
from idiolect.store.base import AddReport
from idiolect.store.engine import store_file
from idiolect.store.privacy import Pseudonyms, check_names
from idiolect.store.schema import refusal
from idiolect.store.sql import KnownItems, SqlStore
from idiolect.types import Item, ItemId, Review, ReviewId, UserId

Record = TypeVar("Record", Review, Item)

_CHUNK = 1000


def reconcile(
    store: SqlStore,
    stored: AddReport,
    reviews: ReviewFile,
    items: ItemFile | None,
    *,
    listed: OnReject,
    item_listed: OnReject,
) -> AddReport:
    """List every refused row with its line, and count a row as known if only its place in the file differs.

    The files are read again, but only if rows were refused. A row without an ``order`` field has its place in the file
    as order, so a row that is repeated or moved differs from the stored one.

    Returns:
        ``stored`` with the remaining refused rows.
    """
    if not stored.refused:
        return stored
    lost_items: list[tuple[ItemId, str]] = []
    if items is not None:
        reasons = dict(stored.refused_items)
        lost_items = [
            _listed_conflict(found, reasons, item_listed) for found in _conflicts(items, reasons, store.items)
        ]
    lost: list[tuple[ReviewId, str]] = []
    reasons, moved = dict(stored.refused_reviews), 0
    for found, kept in _with_kept(reviews, reasons, lambda ids: _known_reviews(store, ids)):
        if kept == found.record:
            continue
        if kept is not None and reviews.counts_order and replace(found.record, order=kept.order) == kept:
            moved += 1
        else:
            lost.append(_listed_conflict(found, reasons, listed))
    known = stored.reviews_known + moved
    return replace(stored, refused_items=tuple(lost_items), refused_reviews=tuple(lost), reviews_known=known)


def _conflicts(
    file: ItemFile, ids: Container[str], lookup: Callable[..., dict[ItemId, Item]]
) -> Iterator[Located[Item]]:
    return (found for found, kept in _with_kept(file, ids, lookup) if found.record != kept)


def _with_kept(
    file: RecordFile[Record], ids: Container[str], lookup: Callable[[list[Any]], Mapping[Any, Record]]
) -> Iterator[tuple[Located[Record], Record | None]]:
    """The records with one of ``ids``, each with the stored value of its id."""
    read = islice(file.located(), file.summary.accepted)
    suspects = (found for found in read if found.record.id in ids)
    while chunk := list(islice(suspects, _CHUNK)):
        kept = lookup([found.record.id for found in chunk])
        yield from ((found, kept.get(found.record.id)) for found in chunk)


def _known_reviews(store: SqlStore, ids: Iterable[ReviewId]) -> dict[ReviewId, Review]:
    """Those of ``ids`` that are stored. One query for all first, because nearly always all of them are."""
    wanted = list(dict.fromkeys(ids))
    try:
        return dict(zip(wanted, store.reviews(wanted), strict=True))
    except NotFoundError:
        if len(wanted) <= 1:
            return {}
        half = len(wanted) // 2
        return _known_reviews(store, wanted[:half]) | _known_reviews(store, wanted[half:])


def _listed_conflict(found: Located[Any], reasons: Mapping[Any, str], listed: OnReject) -> tuple[Any, str]:
    """List a conflict and return its id and reason."""
    reason = reasons[found.record.id]
    listed(found.rejected(f"refused by the store: {reason}"))
    return found.record.id, reason


T = TypeVar("T")


_NAMED = 5
"""Number of unread files that the summary names."""


class IngestConfig(Config):
    """How files are read."""

    format: str = "auto"
    """Format of the files; ``auto``: detected."""
    columns: dict[str, str] = Field(default_factory=dict)
    """A field's column in the reviews' file: ``{user: reviewer, text: body}``; ``-`` for none."""
    item_columns: dict[str, str] = Field(default_factory=dict)
    """The same of the items' file."""
    category: str = ""
    """Prefix of item ids, for files of several categories in one store."""
    max_rejects: float = Field(default=0.5, ge=0, le=1)
    """Share of rows that may be rejected; above it reading fails, after 10,000 rows at once."""
    engine: EngineName = "local"
    """What reads several files: this process, or the workers of a Ray cluster (docs/scale.md)."""
    workers: int | None = Field(default=None, gt=0)
    """Of a Ray cluster; None: one per processor."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The columns of a file and their fields."""

    file: str
    """The first file of these columns; empty if there is only one file."""
    columns: Columns

    def record(self) -> dict[str, Any]:
        """As plain data."""
        of, absent = self.columns.of, self.columns.absent
        return {
            "file": self.file,
            "of": {field: name for field, name in of.items() if field not in absent},
            "absent": list(absent),
            "unused": list(self.columns.unused),
        }

    def text(self, what: str, expected: tuple[str, ...]) -> str:
        """One line; the fields ``expected`` are named if they have no column."""
        return printable(f"{what}{f' in {self.file}' if self.file else ''}: {self.columns.text(expected)}")


_NO_REVIEWS = KnownItems(0, 0)
_FIELDS_EXPECTED = ("rating", "title", "timestamp")
_ITEM_FIELDS_EXPECTED = ("title",)
_MOST_TAKEN = 3
"""Files with columns of their own that are listed in the summary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """An account of every row."""

    format: str
    reviews: ReadSummary
    items: ReadSummary | None
    stored: AddReport
    rejects: Path | None
    """Where rejected and refused rows are listed; None if there were none."""
    item_rejects: Path | None = None
    """The same of the items' file."""
    files: int = 1
    """Files (or splits) of reviews that were read."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Files of a folder or archive that were not read, and the reasons."""
    columns: tuple[Taken, ...] = ()
    """Columns and their fields, once for files with equal columns; empty for formats that are not tables."""
    item_columns: tuple[Taken, ...] = ()
    """The same for the items."""
    known: KnownItems = _NO_REVIEWS
    """How many of the added reviews (of all, if none was added) are of items with a record."""
    an_item: str = ""
    """The id of one of the items that were read."""
    undated: int = 0
    """Reviews without a timestamp."""
    early: int = 0
    """Reviews whose timestamp is before March 1973, which is most likely wrong."""
    unrated: int = 0
    """Reviews without a rating."""
    repeated: int = 0
    """Added reviews with user, item and text of one that was stored before: another time, rating, title or id."""

    def __repr__(self) -> str:
        return self.text

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings to check, although nothing failed."""
        return (*self._repeated_warning(), *self._items_warning())

    def _repeated_warning(self) -> Iterator[str]:
        if self.repeated:
            yield (
                f"{self.repeated} of {self.added} added reviews have user, item and text of a review that was stored "
                "before, and another time, rating, title or id: each counts twice; if the same data was read with "
                "other columns, read it into a new store"
            )

    def _items_warning(self) -> Iterator[str]:
        if self.known.known or not self.known.reviews:
            return
        spelled = f": reviews are of {self.known.unknown_item!r}"
        remedy = (
            f"{spelled}, items are called {self.an_item!r}; compare how the ids are written"
            if self.an_item
            else f"{spelled}; name the file of the items with items="
        )
        yield f"0 of {self.known.reviews} reviews are of known items, so prompts show ids, not titles{remedy}"

    @property
    def read(self) -> int:
        """Rows of reviews that were read."""
        return self.reviews.read

    @property
    def accepted(self) -> int:
        """Rows of reviews that are in the store now: ``added`` and ``unchanged``."""
        return self.reviews.accepted - len(self.stored.refused_reviews)

    @property
    def added(self) -> int:
        """Rows that are new in the store."""
        return self.stored.reviews_added

    @property
    def unchanged(self) -> int:
        """Rows that the store held already, or that are in the data more than once."""
        return self.stored.reviews_known

    @property
    def rejected(self) -> int:
        """Rows of reviews that are not, listed with a reason in ``rejects``."""
        return self.read - self.accepted

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "format": self.format,
            "files": self.files,
            "skipped": dict(self.skipped),
            "read": self.reviews.read,
            "accepted": self.reviews.accepted,
            "rejected": dict(self.reviews.rejected),
            "suspicious": dict(self.reviews.suspicious),
            "lost_fields": [asdict(lost) for lost in self.reviews.lost_fields],
            "undated": self.undated,
            "unrated": self.unrated,
            "repeated": self.repeated,
            "dated_before_1973": self.early,
            "columns": [taken.record() for taken in self.columns],
            "item_columns": [taken.record() for taken in self.item_columns],
            "items_lost_fields": [asdict(lost) for lost in self.items.lost_fields] if self.items else [],
            "reviews_of_known_items": self.known.known,
            "reviews_looked_up": self.known.reviews,
            "warnings": list(self.warnings),
            "items_read": self.items.read if self.items else 0,
            "items_rejected": dict(self.items.rejected) if self.items else {},
            "reviews_added": self.stored.reviews_added,
            "reviews_known": self.stored.reviews_known,
            "items_added": self.stored.items_added,
            "refused": len(self.stored.refused),
            "rejects": self.rejects,
            "item_rejects": self.item_rejects,
        }

    @property
    def text(self) -> str:
        """For people."""
        stored = self.stored
        held = f" in {self.files} files" if self.files > 1 else ""
        lines = [
            f"{self.reviews.read} rows of {self.format}{held}: {stored.reviews_added} reviews added, "
            f"{stored.reviews_known} known before, {stored.items_added} items added"
        ]
        if stored.reviews_known and stored.reviews_added:
            lines.append(f"{stored.reviews_known} rows are in the store already, or twice in the data: unchanged")
        lines += [*self._column_lines(), *self._review_lines()]
        lines += [f"warning: {warning}" for warning in self.warnings]
        summaries = [self.reviews, *([self.items] if self.items else [])]
        lines += [_lost_field_line(lost) for s in summaries for lost in s.lost_fields]
        lines += [f"{n} rows rejected: {reason}" for s in summaries for reason, n in s.rejected.items()]
        lines += [
            f"{n} rows stored with {what}: {SUSPICIOUS[what]}" for s in summaries for what, n in s.suspicious.items()
        ]
        if stored.refused:
            lines.append(f"{len(stored.refused)} refused: {stored.refused[0][1]} (first: {stored.refused[0][0]})")
        lines += [f"they are listed in {path}" for path in (self.rejects, self.item_rejects) if path]
        if self.skipped:
            named = [f"{printable(name)} ({reason})" for name, reason in islice(self.skipped.items(), _NAMED)]
            more = f"; and {len(self.skipped) - _NAMED} more" if len(self.skipped) > _NAMED else ""
            lines.append(f"{len(self.skipped)} files not read: {'; '.join(named)}{more}")
        return "\n".join(lines)

    def _column_lines(self) -> Iterator[str]:
        for what, taken, expected in (
            ("columns", self.columns, _FIELDS_EXPECTED),
            ("columns of items", self.item_columns, _ITEM_FIELDS_EXPECTED),
        ):
            yield from (one.text(what, expected) for one in taken[:_MOST_TAKEN])
            if len(taken) > _MOST_TAKEN:
                yield f"other {what} in {len(taken) - _MOST_TAKEN} more kinds of files: all are in the record (JSON)"

    def _review_lines(self) -> Iterator[str]:
        read = self.reviews.accepted
        if self.known.known:
            yield f"{self.known.known} of {self.known.reviews} reviews are of known items"
        if 0 < self.undated < read:
            yield (
                f"{self.undated} of {read} reviews have no timestamp: each counts as older than the dated reviews of "
                "its user, in the order of the file"
            )
        if 0 < self.unrated < read:
            yield f"{self.unrated} of {read} reviews have no rating"
        if self.early:
            yield (
                f"{self.early} of {read} reviews have a timestamp before March 1973: if it is not in seconds since "
                "1970, only the order is meaningful"
            )


def ingest_files(
    reviews: Path | str | Parts,
    *,
    store: str,
    items: Path | str | Parts | None = None,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    item_columns: Mapping[str, str] | None = None,
    category: str = "",
    rejects: Path | None = None,
    max_rejects: float = 0.5,
    pseudonyms: Path | None = None,
    progress: bool = False,
    engine: EngineName = "local",
    workers: int | None = None,
) -> IngestReport:
    """Read reviews and items into a store; reading the same files again changes nothing.

    Both may be a file, folder, pattern, ``-`` or data set of the hub (see ``open_reviews``). Rejected rows go to
    ``rejects`` (items to another); usable rows are stored either way. With ``pseudonyms``, the file of a key
    that is made if there is none, users' ids are hashed before anything is stored, and rejects list no raw row.
    With ``engine="ray"`` the files of a folder or pattern are read by workers; this process alone writes.

    Raises:
        InputError: A file cannot be read, or more than ``max_rejects`` of its rows were rejected.
        ConfigError: An unknown format or field, standard input is named twice, or the store names users otherwise.
    """
    rejects = rejects or default_rejects("table" if isinstance(reviews, Parts) else reviews)
    item_rejects = rejects.parent / ("items." + rejects.name)  # a folder such as "." has no name, and is refused below
    named = _check_places(reviews, items, store, (rejects, item_rejects), pseudonyms)
    hashed = Pseudonyms.open(pseudonyms) if pseudonyms else None
    reader = open_engine(engine, workers=workers)
    # Opening checks the files before anything is made or written.
    with ExitStack() as stack:
        listed, item_listed = _Late(bare=hashed is not None), _Late(bare=hashed is not None)
        how = {"format": format, "columns": columns, "category": category, "max_rejects": max_rejects}
        file = open_reviews(reviews, **how, on_reject=listed, pseudonym=hashed)
        item_file = _items_of(file, reviews, items, item_columns, category, item_listed, max_rejects)
        stack.enter_context(cleaning_up())
        apart = [*named, *_files_of(file), *_files_of(item_file)]
        if item_file is not None:
            item_listed.write = stack.enter_context(RejectsWriter(item_rejects, apart=apart, keep_empty=False))
        listed.write = stack.enter_context(RejectsWriter(rejects, apart=apart, keep_empty=False))
        database = stack.enter_context(SqlStore(store))
        database.check_writable()
        check_names(database, hashed, take=True)
        # Before a row is in them, because an erasure must find what an interrupted call leaves.
        for path in (rejects, item_rejects):
            database.record_output(path, "rejects")
        seen, mark = _Seen(), database.last_seq()
        stored = database.add(
            seen.items(_counted(item_file, "items", progress, reader)),
            seen.reviews(_counted(file, "reviews", progress, reader)),
        )
        report = IngestReport(
            reviews=file.summary,  # before ``reconcile``, which reads files again
            items=item_file.summary if item_file else None,
            stored=reconcile(database, stored, file, item_file, listed=listed, item_listed=item_listed),
            rejects=rejects if listed.used else None,
            item_rejects=item_rejects if item_listed.used else None,
            known=database.known_items(after=mark if stored.reviews_added else 0),
            repeated=database.repeated_texts(after=mark) if mark and stored.reviews_added else 0,
            **_read_from(file, item_file),
            **seen.counts(),
        )
    with SqlStore(store) as database:
        database.drop_outputs(path for path in (rejects, item_rejects) if not path.exists())
    _check_share(report, max_rejects)
    return report


def _check_places(
    reviews: Path | str | Parts,
    items: Path | str | Parts | None,
    store: str,
    listed: Sequence[Path],
    pseudonyms: Path | None,
) -> list[Path | None]:
    """Refuse, before anything is read, places that are one and the same; the places that nothing may be written to."""
    if items is not None and _is_one_stream(reviews, items):
        raise ConfigError(
            f"{_stream_name(reviews)} holds the reviews or the items, not both", hint="name a file for one"
        )
    named = [None if isinstance(reviews, Parts) else _path(reviews), _path(items), store_file(store), pseudonyms]
    for path in listed:
        RejectsWriter(path, apart=named)
    _check_key(pseudonyms, store_file(store))
    return named


def _read_from(file: ReviewFile, item_file: ItemFile | None) -> dict[str, Any]:
    """What a report says of the files themselves."""
    return {
        "format": file.format,
        "files": len(file.parts),
        "skipped": {**(item_file.skipped if item_file else {}), **file.skipped},
        "columns": _taken(file),
        "item_columns": _taken(item_file) if item_file else (),
    }


_OTHER_CONTENT = "the store has other content under these ids, from an earlier ingest: ingest into a new store"


class _Seen:
    """Counts records on their way into the store."""

    def __init__(self) -> None:
        self.undated, self.early, self.unrated, self.an_item = 0, 0, 0, ""

    def counts(self) -> dict[str, Any]:
        """What a report says of it."""
        return {"undated": self.undated, "early": self.early, "unrated": self.unrated, "an_item": self.an_item}

    def items(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, counted."""
        for item in items:
            self.an_item = self.an_item or item.id
            yield item

    def reviews(self, reviews: Iterable[Review]) -> Iterator[Review]:
        """The reviews, counted."""
        for review in reviews:
            self.undated += review.timestamp is None
            self.unrated += review.rating is None
            self.early += review.timestamp is not None and review.timestamp < FIRST_SECOND
            yield review


def _taken(file: RecordFile[Any]) -> tuple[Taken, ...]:
    """Columns and their fields, once for parts with equal columns."""
    found: dict[tuple[object, ...], Taken] = {}
    for part in file.parts:
        if part.unnest is None or part.thread is not None:
            name = part.part.name if len(file.parts) > 1 else ""
            found.setdefault(part.columns.key, Taken(name, part.columns))
    return tuple(found.values())


def _lost_field_line(lost: LostField) -> str:
    """One line: how many rows lack the field, and the reason."""
    remedy = REMEDIES.get(lost.reason)
    return (
        f"{lost.rows} rows read without their {lost.name}: {lost.reason} "
        f"(first: line {lost.line} of {printable(lost.file)})" + (f"; {remedy}" if remedy else "")
    )


class _Late:
    """A destination of rejected rows that is known only once the file they come from could be opened.

    Args:
        bare: Whether the rows themselves are left out, because they hold users' ids.
    """

    write: Callable[[Rejected], None]

    def __init__(self, *, bare: bool) -> None:
        self.used, self._bare = False, bare

    def __call__(self, rejected: Rejected) -> None:
        self.used = True
        self.write(replace(rejected, raw_start="") if self._bare else rejected)


def _items_of(
    file: ReviewFile,
    reviews: Path | str | Parts,
    items: Path | str | Parts | None,
    columns: Mapping[str, str] | None,
    category: str,
    listed: _Late,
    max_rejects: float,
) -> ItemFile | None:
    """The file of the items; else that of the reviews, if it also holds items."""
    how = {"columns": columns, "category": category, "on_reject": listed, "max_rejects": max_rejects}
    if items is None:
        return items_in(file, **how) if file.carries_items else None
    # In the authors' data sets the category, and so the items' format, follows from the file names only.
    return open_items(items, format="dpl" if file.format == "dpl" else "auto", **how)


def _is_one_stream(one: Path | str | Parts, other: Path | str | Parts) -> bool:
    if isinstance(one, Parts) or isinstance(other, Parts):
        return False
    if str(one) == str(other) == STDIN:
        return True
    return (known := stream_id(one)) is not None and known == stream_id(other)


def _stream_name(where: Path | str | Parts) -> str:
    return STDIN_NAME if str(where) == STDIN else repr(str(where))


def _path(where: Path | str | Parts | None) -> Path | None:
    """The path of a source; None if it is standard input or a table, or if there is none."""
    return None if where is None or isinstance(where, Parts) or str(where) == STDIN else Path(where)


def _files_of(file: RecordFile[T] | None) -> list[Path | None]:
    return [] if file is None else [part.part.path for part in file.parts]


def _check_key(key: Path | None, store: Path | None) -> None:
    """Refuse to create the key of pseudonyms at the store's own path."""
    if key is not None and store is not None and real_path(key) == real_path(store):
        raise ConfigError(
            f"the key of the pseudonyms and the store are both {str(key)!r}", hint="name another file for the key"
        )


def _counted(file: RecordFile[T] | None, what: str, progress: bool, engine: Engine) -> Iterator[T]:
    rows: Iterable[T] = file.read(engine) if file is not None else []
    with Progress(None, what, "row", shown=progress) as bar:
        for row in rows:
            yield row
            bar.update()


def _check_share(report: IngestReport, max_rejects: float) -> None:
    reviews, items = report.reviews, report.items or ReadSummary(read=0, accepted=0)
    for what, summary, refused, listed in (
        ("reviews", reviews, report.stored.refused_reviews, report.rejects),
        ("items", items, report.stored.refused_items, report.item_rejects),
    ):
        lost = summary.lost + len(refused)
        if lost > max_rejects * summary.read:
            rest = "reading stopped there; the usable ones are stored" if summary.stopped else "the rest is stored"
            reasons = Counter(summary.rejected) + Counter(reason for _, reason in refused)
            reason = max(reasons, key=lambda name: reasons[name], default="")
            other = _OTHER_CONTENT if reason in dict(refused).values() else "map columns: text='COLUMN', user='COLUMN'"
            remedy = REMEDIES.get(reason, other)
            raise InputError(
                f"{lost} of {summary.read} rows of {what} were rejected ({rest}), most for {reason!r}; "
                f"see {str(listed)!r}",
                hint=f"{remedy}; or raise max_rejects=",
            )


_MOST = 100
"""The highest rating of any common scale."""


def add_review(
    store: str,
    *,
    user: str,
    item: str,
    text: str,
    rating: float | None = None,
    title: str = "",
    timestamp: int | str | date | None = None,
    id: str | None = None,
    encoder: str = "minilm",
    pseudonyms: Path | None = None,
) -> Review:
    """Add one review written now; vector and item sum are stored in the same transaction.

    With an ``id``, a review that was added before is left unchanged; without one every call adds another review,
    because its time differs.

    Splits made before are then out of date: see ``split_store``. With ``pseudonyms``, the file of a key (created if
    absent), the user's id is hashed first.

    Raises:
        ConfigError: The text is empty, or the store has only vectors of other encoders, or uses another id scheme.
        InputError: The store refuses the review; a store that does not exist is then not created.
    """
    when = _moment(timestamp)
    check_said(rating, when)
    _check_texts(user=user, item=item, text=text, title=title)
    user, item = clean_id(user), clean_id(item)
    if not text.strip():
        raise ConfigError("the review has no text", hint="pass text=")
    moment = int(time.time()) if when is None else when
    hashed = Pseudonyms.open(pseudonyms) if pseudonyms else None
    author = hashed(user) if hashed else UserId(user)
    review = Review(
        id=ReviewId(id or digest_id(author, item, moment, title, text, rating)),
        user=author,
        item=ItemId(item),
        text=text,
        rating=rating,
        title=title,
        timestamp=moment,
    )
    # Everything that can fail comes before the first write, so that no review is stored without its vector.
    if reason := refusal(review):
        raise InputError(f"the review cannot be stored: {reason}", hint="change it and try again")
    return _store(store, review, load_encoder(encoder), hashed, dated=when is not None)


def check_said(rating: float | None, timestamp: int | None = None) -> None:
    """Check rating and time for plausibility, as the checks of files do."""
    hint = "ratings are 0 to 100, timestamps seconds since 1970"
    for name, value, kinds in (("rating", rating, Real), ("timestamp", timestamp, Integral)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise InputError(f"the {name} is a {type(value).__name__}, not a number", hint=hint)
    if rating is not None and not 0 <= rating <= _MOST:
        raise InputError("rating out of range", hint=hint)
    if timestamp is not None and not 0 <= timestamp < LATEST:
        raise InputError("timestamp out of range", hint=hint)


def _check_texts(**values: str) -> None:
    for name, value in values.items():
        if not isinstance(value, str):
            raise InputError(f"the {name} is a {type(value).__name__}, not a text", hint=f"pass {name}= as a string")


def _moment(timestamp: int | str | date | None) -> int | None:
    """Seconds since 1970; dates and dates in words are read as in files."""
    if not isinstance(timestamp, str | date):
        return timestamp
    try:
        return parse_timestamp(timestamp)
    except UnusableRow as error:
        hint = "pass seconds since 1970, a date, or one as ISO 8601"
        raise InputError(f"the timestamp cannot be read: {timestamp!r}", hint=hint) from error


def _store(store: str, review: Review, encoder: Encoder, hashed: Pseudonyms | None, *, dated: bool) -> Review:
    """Store review and vector in one transaction; return the stored review if only an unset time differs."""
    vector = encoder.encode([review.text])
    with SqlStore(store) as database:
        check_names(database, hashed, take=True)
        held = database.encoders()
        if held and encoder.name not in held:
            raise ConfigError(f"the store holds vectors of {', '.join(held)}", hint="name their encoder with encoder=")
        known = _known(database, review.id)
        if known is not None and not dated:
            review = replace(review, timestamp=known.timestamp)
        report = database.add([], [review], {encoder.name: vector})
        if report.refused:
            raise InputError(f"the review cannot be stored: {report.refused[0][1]}", hint="change it and try again")
    return review


def _known(database: SqlStore, id: ReviewId) -> Review | None:
    try:
        return database.reviews([id])[0]
    except NotFoundError:
        return None
