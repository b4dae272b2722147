"""Erasing a user's traces from what the library wrote: rows where a file has rows, else the file."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from idiolect.corpus.atomic import BESIDE, is_sqlite, write_whole
from idiolect.errors import ArtifactError, IdiolectError
from idiolect.experiments.erasure.traces import Traces
from idiolect.llm.cache import Cache, is_cache
from idiolect.store.files import PARTIAL, is_running
from idiolect.store.parquet import erase_from_export, export_files, is_export
from idiolect.types import ReviewId

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

    A snapshot goes whole, for it is made anew when it is needed, and so does a list of rejected rows, for it keeps the
    beginnings of rows and cannot say whose each was. From an export, JSON lines and Parquet the rows with a trace go,
    from a cache the answers; any other file with a trace goes, and whole what a killed call left unfinished. Weights
    and stores are left alone. Links are not followed.

    Args:
        place: The file or folder.
        traces: By what the user is found.
        kind: What the store recorded it as, if it did: a list of ``rejects`` may have any name.
        left: Called with each file that was not looked into, or could not be changed.
    """
    try:
        yield from _erase_from(place, traces, kind, left)
    except OSError as error:
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
    """What a folder is that goes whole; empty where it is none, or holds a database, which only SQLite may touch."""
    snapshot = all((folder / name).is_file() for name in _SNAPSHOT)
    what = "snapshot" if snapshot else "folder" if folder.suffix == PARTIAL else ""
    return "" if what and any(map(is_sqlite, folder.rglob("*"))) else what


def _erase_export(folder: Path, traces: Traces) -> Generator[Erased, None, tuple[Path, ...]]:
    """Take the user's rows out of an export; which files are done with, none where it is damaged."""
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
            count = _ROWS[path.suffix](path, traces)
        except (pa.ArrowException, UnicodeDecodeError):  # damaged: nothing says whose its rows are
            path.unlink()
            count, what = 1, "file"
    if count:
        yield Erased(path=path, what=what, count=count)


def _erase_answers(path: Path, traces: Traces, left: Callable[[Left], object]) -> Iterator[Erased]:
    """From a record of answers; any other database is left alone."""
    if path.name.endswith(BESIDE):  # part of a database that is looked at itself
        return
    if not is_cache(path):
        left(Left(path=path, why="a database that is no record of answers"))
        return
    try:
        with Cache(path) as cache:
            count, scrubbed = cache.forget_reviews(map(ReviewId, traces.ids)), cache.scrubbed
    except ArtifactError as error:
        left(Left(path=path, why=error.message))
        return
    if not scrubbed:
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

    write_whole(path, keep)
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
        write_whole(path, keep)
    return count


def _texts(batch: pa.RecordBatch) -> list[Any]:
    """Row by row what may hold texts: a list of values, and a mapping with the item, if there is such a column."""
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
