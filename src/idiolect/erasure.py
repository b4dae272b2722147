"""Erase a user from everything made from a store: recorded answers, snapshots, rejects, outputs, then the store.

The store comes last, so that an interrupted erasure can be continued. In files a user is found by ids and by runs of
words of their texts; rows are removed if the file has rows, else the file.
"""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from idiolect.data.output_files import atomic_write
from idiolect.difference.stylometry.known import clear as clear_known_texts
from idiolect.errors import ArtifactError, ConfigError, IdiolectError, NotFoundError
from idiolect.llm.cache import Cache, is_cache
from idiolect.sqlite import SIDE_FILES, is_sqlite
from idiolect.store.base import ErasureReceipt
from idiolect.store.parquet import erase_from_export, export_files, is_export
from idiolect.store.privacy import user_in
from idiolect.store.snapshot_files import PARTIAL, held, is_running, unfinished
from idiolect.store.sql import SqlStore, said_alike
from idiolect.types import Item, Review, ReviewId, UserId
from idiolect.words import WordPattern, runs

_WORD = WordPattern(r"\w+")
_TOKEN = re.compile(r"""[^\s"'`<>|,;()\[\]{}]+""")
_RUN = 6
_ODD = 8
"""Minimum length of an id that is unlikely to occur by chance."""
_UNLIKELY = 16
"""Minimum characters of a text with fewer words; shorter ones ("Great!") are not specific to a user."""
_LISTING = frozenset({"compared"})
"""Keys of texts that list reviews' ids, also short ones: stages of predictions."""

WordRun = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Traces:
    """Traces by which data made from a user's reviews is found."""

    ids: frozenset[str]
    """Ids of the user and of all their reviews."""
    runs: dict[int, frozenset[WordRun]]
    """Runs of words by their number: six words (or characters as long as six words), or a whole shorter text; without
    case and punctuation."""
    users: frozenset[str] = frozenset()
    """The ids of the user only."""
    items: frozenset[str] = frozenset()
    """Ids of items that no other user wrote about."""

    @classmethod
    def of(
        cls,
        user: UserId,
        reviews: Sequence[Review],
        *,
        aliases: Iterable[str] = (),
        items: Sequence[Item] = (),
        others: Iterable[str] = (),
    ) -> Traces:
        """The traces of a user.

        Args:
            user: The user.
            reviews: All their reviews.
            aliases: Further ids of the user.
            items: Items that no other user wrote about; their texts may be the user's own.
            others: Texts of all other items. Runs of words that occur there, such as an instruction at the beginning of
                many texts, are not the user's own.
        """
        by_length = _runs(text for review in reviews for text in (review.text, review.title))
        of_items = _runs(text for item in items for text in (item.title, item.description))
        for text in others if of_items else ():
            words = _WORD.findall(text.casefold())
            for length, some in of_items.items():
                some.difference_update(_in_a_row(words, length))
        for length, some in of_items.items():
            by_length.setdefault(length, set()).update(some)
        users = frozenset({str(user), *aliases})
        return cls(
            ids=users | {str(review.id) for review in reviews},
            runs={length: frozenset(some) for length, some in by_length.items()},
            users=users,
            items=frozenset(str(item.id) for item in items),
        )

    def in_text(self, text: str) -> bool:
        """Whether a text contains an id between delimiters, or the user's words."""
        return _named(text, self.ids) or self.in_words(text)

    def in_words(self, text: str) -> bool:
        """Whether a text contains the user's words; ids do not count, because they may be common words."""
        words = _WORD.findall(text.casefold())
        return any(not some.isdisjoint(_in_a_row(words, length)) for length, some in self.runs.items())

    def in_value(self, value: object) -> bool:
        """Whether decoded JSON contains an id as a whole string, or a specific id or words within a string."""
        if isinstance(value, str):
            return value in self.ids or _named(value, self._odd_ids) or self.in_words(value)
        if isinstance(value, dict):
            if isinstance(item := value.get("item"), str) and item in self.items:
                return True
            if any(_named(str(value[key]), self.ids) for key in _LISTING & value.keys()):
                return True
            return any(self.in_value(part) for pair in value.items() for part in pair)
        return isinstance(value, list) and any(self.in_value(part) for part in value)

    @cached_property
    def _odd_ids(self) -> frozenset[str]:
        """The ids that do not occur by chance; a user's id may be a common word."""
        return frozenset(id for id in self.ids if len(id) >= _ODD and not id.isalpha())

    def in_bytes(self, content: bytes) -> bool:
        """Whether a file of unknown format contains an id of at least eight bytes."""
        return any(len(raw) >= _ODD and raw in content for raw in map(str.encode, self.ids))


def _runs(texts: Iterable[str]) -> dict[int, set[WordRun]]:
    by_length: dict[int, set[WordRun]] = {}
    for text in texts:
        words = _WORD.findall(text.casefold())
        found = list(runs(words, _RUN))
        if not found and words and len(text) >= _UNLIKELY:
            found = [(0, len(words))]
        for first, end in found:
            by_length.setdefault(end - first, set()).add(tuple(words[first:end]))
    return by_length


def _named(text: str, ids: Set[str]) -> bool:
    tokens = {token.strip(".:!?") for token in _TOKEN.findall(text)}
    return not tokens.isdisjoint(ids) or any(id in text for id in ids if not _TOKEN.fullmatch(id))


def _in_a_row(words: Sequence[str], length: int) -> Iterable[WordRun]:
    return zip(*(words[start:] for start in range(length)), strict=False)


_WEIGHTS = frozenset({".safetensors", ".pt", ".bin", ".pth"})
_TEXT = frozenset({".json", ".md", ".html", ".csv", ".tsv", ".txt", ".yaml", ".yml", ".log", ".svg"})
_SNAPSHOT = ("meta.json", "reviews.arrow")
_REJECTS = ".rejects.jsonl"
_BATCH = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was removed from one place."""

    path: Path
    what: str
    """``snapshot``, ``folder``, ``file``, ``rows`` or ``answers``."""
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A place that may still hold the user's texts."""

    path: Path
    why: str


def erase_from(
    place: Path, traces: Traces, *, kind: str = "", left: Callable[[Left], object] = lambda _: None
) -> Iterator[Erased]:
    """Erase a user from a file, or from everything in a folder.

    Snapshots are removed, because they can be rebuilt, and so are lists of rejected rows, because the user of a
    rejected row is unknown. From exports, JSON lines and Parquet the rows with a trace are removed, from a cache the
    answers; any other file with a trace is removed, and unfinished files of killed calls. Weights and stores are not
    touched. Links are not followed.

    Args:
        place: The file or folder.
        traces: Traces of the user.
        kind: The kind that the store recorded, if any: a list of ``rejects`` may have any name.
        left: Called with each file that was not inspected, or could not be changed.
    """
    try:
        yield from _erase_from(place, traces, kind, left)
    except OSError as error:
        if place.exists():  # else another process has removed it
            left(Left(path=place, why=error.strerror or str(error)))


def _erase_from(place: Path, traces: Traces, kind: str, left: Callable[[Left], object]) -> Iterator[Erased]:
    if place.is_symlink():
        left(Left(path=place, why="a link, which is not followed"))
    elif place.is_file():
        yield from _erase_file(place, traces, left, whole=kind == "rejects")
    elif place.is_dir() and (what := _goes_whole(place)):
        if what == "folder" and is_running(place):
            left(Left(path=place, why="a running process writes it, and will find that a user was erased"))
        else:
            shutil.rmtree(place)
            yield Erased(path=place, what=what)
    elif place.is_dir():
        done = (yield from _erase_export(place, traces)) if is_export(place) else ()
        for inside in sorted(place.iterdir()):
            if inside not in done:
                yield from erase_from(inside, traces, left=left)


def _goes_whole(folder: Path) -> str:
    """The kind of a folder that is removed completely; empty for others, or if it holds a database."""
    snapshot = all((folder / name).is_file() for name in _SNAPSHOT)
    what = "snapshot" if snapshot else "folder" if folder.suffix == PARTIAL else ""
    return "" if what and any(map(is_sqlite, folder.rglob("*"))) else what


def _erase_export(folder: Path, traces: Traces) -> Generator[Erased, None, tuple[Path, ...]]:
    """Remove the user's rows from an export; return the files that are done: none if it is damaged."""
    try:
        files = export_files(folder)
        count = erase_from_export(folder, traces.users, traces.ids - traces.users)
    except (IdiolectError, pa.ArrowException, LookupError, ValueError):
        return ()
    if count:
        yield Erased(path=folder, what="rows", count=count)
    return tuple(files)


def trained(place: Path) -> Iterator[Path]:
    """Every folder at or below ``place`` that holds weights."""
    if place.is_dir():
        yield from sorted({file.parent for file in place.rglob("*") if file.suffix in _WEIGHTS})


def _erase_file(path: Path, traces: Traces, left: Callable[[Left], object], *, whole: bool) -> Iterator[Erased]:
    if is_sqlite(path):
        yield from _erase_answers(path, traces, left)
        return
    count, what = 0, "rows"
    if whole or path.suffix not in _ROWS or _cannot_say_whose(path):
        if whole or _file_has_trace(path, traces):
            path.unlink()
            count, what = 1, "file"
    else:
        try:
            with held(path.parent):
                count = _ROWS[path.suffix](path, traces)
        except (pa.ArrowException, UnicodeDecodeError):  # damaged: the users of its rows are unknown
            path.unlink()
            count, what = 1, "file"
    if count:
        yield Erased(path=path, what=what, count=count)


def _erase_answers(path: Path, traces: Traces, left: Callable[[Left], object]) -> Iterator[Erased]:
    """Erase from an answer cache; other databases are not touched."""
    if path.name.endswith(SIDE_FILES):  # part of a database that is handled itself
        return
    if not is_cache(path):
        left(Left(path=path, why="a database that is no answer cache"))
        return
    try:
        with Cache(path) as cache:
            count, vacuumed = cache.forget_reviews(map(ReviewId, traces.ids)), cache.vacuumed
    except ArtifactError as error:
        left(Left(path=path, why=error.message))
        return
    if not vacuumed:
        left(Left(path=path, why="old bytes: another process uses it; run the same command again without"))
    if count:
        yield Erased(path=path, what="answers", count=count)


def _cannot_say_whose(path: Path) -> bool:
    """A list of rejected rows, or an unfinished file."""
    return path.name.endswith((_REJECTS, PARTIAL))


def _file_has_trace(path: Path, traces: Traces) -> bool:
    if path.suffix in _WEIGHTS:
        return False
    if _cannot_say_whose(path) or traces.in_text(path.name) or traces.in_text(path.stem):
        return True
    content = path.read_bytes()
    if path.suffix not in _TEXT:
        return traces.in_bytes(content)
    text = content.decode(errors="replace")
    if path.suffix == ".json":
        try:
            return traces.in_value(json.loads(text))
        except ValueError:
            return traces.in_text(text)
    return traces.in_text(html.unescape(text))


def _erase_lines(path: Path, traces: Traces) -> int:
    with path.open(encoding="utf-8", newline="\n") as file:
        if not (count := sum(_line_has_trace(line, traces) for line in file)):
            return 0

    def keep(part: Path) -> None:
        with path.open(encoding="utf-8", newline="\n") as old, part.open("w", encoding="utf-8", newline="\n") as new:
            new.writelines(line for line in old if not _line_has_trace(line, traces))

    atomic_write(path, keep)
    return count


def _line_has_trace(line: str, traces: Traces) -> bool:
    try:
        return traces.in_value(json.loads(line))
    except ValueError:
        return traces.in_text(line)


def _erase_rows(path: Path, traces: Traces) -> int:
    with pq.ParquetFile(path) as file:
        kept = [[not traces.in_value(row) for row in _texts(batch)] for batch in file.iter_batches(_BATCH)]
    count = sum(not keep for part in kept for keep in part)

    def keep(part: Path) -> None:
        with pq.ParquetFile(path) as file, pq.ParquetWriter(part, file.schema_arrow, compression="zstd") as writer:
            for batch, some in zip(file.iter_batches(_BATCH), kept, strict=True):
                writer.write_batch(batch.filter(pa.array(some, pa.bool_())))

    if count:
        atomic_write(path, keep)
    return count


def _texts(batch: pa.RecordBatch) -> list[Any]:
    """The values of each row that may contain texts: a list, and a mapping with the item, if there is such a column."""
    numbers = (pa.types.is_primitive, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    named = {
        field.name: batch.column(place).to_pylist()
        for place, field in enumerate(batch.schema)
        if not any(is_of(field.type) for is_of in numbers)
    }
    items = named.get("item", [None] * batch.num_rows)
    rows = zip(*named.values(), strict=True) if named else iter([()] * batch.num_rows)
    return [[*row, {"item": item}] for row, item in zip(rows, items, strict=True)]


_ROWS: dict[str, Callable[[Path, Traces], int]] = {".jsonl": _erase_lines, ".parquet": _erase_rows}


_REMADE = frozenset({"export", "snapshot", "split"})
"""Kinds of output that another process may have finished meanwhile."""
_BEYOND = (
    "the files that the reviews were read from, and other stores that they or an export were read into",
    "backups and copies of the store, and outputs and records of answers that were moved or that no store records",
    "log files, and what a shell wrote to a file",
    "quotes of fewer than six words, and other users' reviews that quote this user",
    "a database server's archived log, and blocks that the file system has freed",
    "what endpoints keep of the prompts that they were sent: logs, and prefix caches until they are overwritten",
)
"""What an erasure can neither reach nor inspect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was removed from where, without the user's id."""

    store: ErasureReceipt
    erased: tuple[Erased, ...]
    """Removed from answer caches, snapshots, rejects and outputs."""
    absent: tuple[Path, ...]
    """Recorded outputs that no longer exist at their path: moved, removed, or never finished."""
    not_unlearned: tuple[Path, ...]
    """Adapters and backbones that may have been trained on them. Erasing a review does not take it out of weights."""
    left: tuple[Left, ...] = ()
    """Files that could not be inspected or changed."""
    alike: tuple[UserId, ...] = ()
    """Users with similar ids, whose data was not removed."""

    def __repr__(self) -> str:
        return self.text

    @property
    def not_reached(self) -> list[dict[str, str]]:
        """Everything that may still contain the user's texts: a description, and the path if it is known."""
        found = [{"what": left.why, "path": str(left.path)} for left in self.left]
        found += [{"what": "not where it was written", "path": str(path)} for path in self.absent]
        found += [{"what": "weights that may have been trained on them", "path": str(p)} for p in self.not_unlearned]
        if not self.store.vacuumed:
            found.append({"what": "old bytes in the store's file, which another process uses"})
        if self.store.items_shared:
            found.append({"what": f"{self.store.items_shared} items that others wrote about too, with their texts"})
        return [*found, *({"what": what} for what in _BEYOND)]

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "reviews": self.store.reviews,
            "vectors": self.store.vectors,
            "items_touched": self.store.items_touched,
            "items_removed": self.store.items_removed,
            "items_shared": self.store.items_shared,
            "vacuumed": self.store.vacuumed,
            "erased": [{"path": str(e.path), "what": e.what, "count": e.count} for e in self.erased],
            "absent": [str(path) for path in self.absent],
            "not_unlearned": [str(path) for path in self.not_unlearned],
            "alike": list(self.alike),
            "not_reached": self.not_reached,
        }

    @property
    def text(self) -> str:
        """For people."""
        store = self.store
        lines = [f"{store.reviews} reviews and {store.vectors} vectors removed, on {store.items_touched} items"]
        if store.items_removed:
            lines.append(f"{store.items_removed} items removed that only this user wrote about")
        if not store.reviews:
            lines.append("the store holds no review of this user: erased before, or is the name misspelled?")
        if self.alike:
            lines.append(f"still there: {said_alike(self.alike)}; the same person? forget each of them too")
        lines += [f"{e.count} {e.what} removed: {e.path}" for e in self.erased]
        lines += [f"not found where it was written: {path}" for path in self.absent]
        if not store.vacuumed:
            lines.append("another process uses the store: close it and run the same command again to drop old bytes")
        if self.not_unlearned:
            lines.append("trained while the reviews were in the store and NOT unlearned; fit again:")
            lines += [f"  {path}" for path in self.not_unlearned]
        lines += [f"not reached: {left.path} ({left.why})" for left in self.left]
        if store.items_shared:
            lines.append(f"not reached: {store.items_shared} items that others wrote about too stay, with their texts")
        return "\n".join([*lines, "not reached either:", *(f"  {what}" for what in _BEYOND)])


def forget_user(store: str, user: str, *, outputs: Sequence[Path] = (), pseudonyms: Path | None = None) -> Receipt:
    """Erase a user from a store, from its recorded outputs, and from ``outputs``.

    Other processes may use the store meanwhile; outputs of a running process may still contain the user's texts. An
    interrupted erasure is completed by another call.

    Args:
        store: SQLite file or database URL.
        user: The user.
        outputs: Further files and folders of the library: moved ones, those of a version that recorded none, or caches
            outside the store's folder.
        pseudonyms: File of the key, if the store has pseudonyms.

    Raises:
        NotFoundError: There is no store, no such key, or nothing at one of ``outputs``.
        ConfigError: The store has another id scheme, or one of ``outputs`` contains the store.
        ArtifactError: The store cannot be written.
    """
    with SqlStore(store, create=False) as database:
        given = [_output(path, store) for path in outputs]
        known = user_in(database, user, pseudonyms)
        items = database.items_alone(known)
        others = database.other_item_texts(known)
        traces = Traces.of(known, database.profile(known), aliases=(user,), items=items, others=others)
        recorded, left = database.outputs(), dict[Path, Left]()
        # A file that is recorded as rejects is one under any other name, too.
        places = dict.fromkeys([*unfinished(recorded), *given, *_caches_next_to(store)], "") | recorded
        erased = list(_erase(places, traces, left))
        receipt = database.forget(known, vacuum=False)
        clear_known_texts()
        # Exports and snapshots that were read before this moment are in place now, or fail.
        later = {p: kind for p, kind in database.outputs().items() if p not in recorded or kind in _REMADE}
        erased += _erase(later, traces, left)
        absent = [path for path in recorded if not path.exists()]
        database.drop_outputs(path for path in absent if _gone(path, erased))
        alike = _alike(database, user, known, pseudonyms)
        receipt = replace(receipt, vacuumed=database.secure_vacuum())
    return Receipt(
        store=receipt,
        erased=tuple(_unnamed(found, traces) for found in erased),
        absent=tuple(_redacted_path(path, traces) for path in absent if not _gone(path, erased)),
        not_unlearned=tuple(dict.fromkeys(path for place in places for path in trained(place))),
        left=tuple(
            Left(path=_redacted_path(path, traces), why=one.why)
            for path, one in left.items()
            if not _is_store(path, store)
        ),
        alike=tuple(alike),
    )


def _erase(places: Mapping[Path, str], traces: Traces, left: dict[Path, Left]) -> Iterator[Erased]:
    for place, kind in places.items():
        yield from erase_from(place, traces, kind=kind, left=lambda one: left.setdefault(one.path, one))


def _alike(database: SqlStore, user: str, known: UserId, pseudonyms: Path | None) -> list[UserId]:
    """Users whose ids look the same; none with pseudonyms."""
    return [] if pseudonyms else [other for other in database.alike(user) if other != known]


def _output(path: Path, store: str) -> Path:
    """The resolved path; traces in it will be removed."""
    place = path.resolve()
    if not place.exists():
        raise NotFoundError(f"there is nothing at {str(path)!r}", hint="check outputs=; nothing was removed")
    if "://" not in store and Path(store).resolve().is_relative_to(place):
        raise ConfigError(
            f"{str(path)!r} holds the store, and other things than outputs",
            hint="name the outputs; nothing was removed",
        )
    return place


def _caches_next_to(store: str) -> Iterator[Path]:
    """Answer caches in the store's folder, or in the current one if the store is not a file.

    Earlier versions did not record them. The store itself is left out, because only its connections may open it.
    """
    folder = Path() if "://" in store else Path(store).parent
    for path in sorted(folder.glob("*.db")):
        if not _is_store(path, store) and is_cache(path):
            yield path.resolve()


def _is_store(path: Path, store: str) -> bool:
    return "://" not in store and Path(store).exists() and path.exists() and path.samefile(store)


def _gone(path: Path, erased: Sequence[Erased]) -> bool:
    return any(found.path == path for found in erased)


def _unnamed(found: Erased, traces: Traces) -> Erased:
    return Erased(path=_redacted_path(found.path, traces), what=found.what, count=found.count)


def _redacted_path(path: Path, traces: Traces) -> Path:
    """The path, or its folder if its name is one of the user's ids."""
    return path.parent if any(id in path.name for id in traces.ids) else path
