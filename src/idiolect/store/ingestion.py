"""Ingest files into a store with an account of every row, and reconcile their rows with what it held before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from idiolect.config import Config
from idiolect.data.files import STDIN_NAME, stream_id
from idiolect.data.output_files import cleaning_up, real_path
from idiolect.data.parts import STDIN, Parts, default_rejects
from idiolect.data.readers import items_in, open_items, open_reviews
from idiolect.data.record_file import ItemFile, Located, OnReject, RecordFile, ReviewFile
from idiolect.data.rejects import REMEDIES, ReadSummary, Rejected, RejectsWriter
from idiolect.data.times import FIRST_SECOND
from idiolect.engine import Engine, EngineName, open_engine
from idiolect.errors import ConfigError, InputError, NotFoundError
from idiolect.progress import Progress
from idiolect.store.base import AddReport
from idiolect.store.engine import store_file
from idiolect.store.ingest_report import IngestReport, Taken
from idiolect.store.privacy import Pseudonyms, check_names
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Review, ReviewId

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


def _files_of(file: RecordFile[Any] | None) -> list[Path | None]:
    return [] if file is None else [part.part.path for part in file.parts]


def _check_key(key: Path | None, store: Path | None) -> None:
    """Refuse to create the key of pseudonyms at the store's own path."""
    if key is not None and store is not None and real_path(key) == real_path(store):
        raise ConfigError(
            f"the key of the pseudonyms and the store are both {str(key)!r}", hint="name another file for the key"
        )


def _counted(file: RecordFile[Record] | None, what: str, progress: bool, engine: Engine) -> Iterator[Record]:
    rows: Iterable[Record] = file.read(engine) if file is not None else []
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
