"""Erase a user from files: rows are removed if a file has rows, else the file."""

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

from idiolect.data.output_files import atomic_write
from idiolect.data.rejects import REJECTS_SUFFIX
from idiolect.erasure.traces import Traces
from idiolect.errors import ArtifactError, IdiolectError
from idiolect.llm.cache import Cache, is_cache
from idiolect.sqlite import SIDE_FILES, is_sqlite
from idiolect.store.parquet import erase_from_export, export_files, is_export
from idiolect.store.snapshot_files import PARTIAL, held, is_running
from idiolect.types import ReviewId

_WEIGHTS = frozenset({".safetensors", ".pt", ".bin", ".pth"})
_TEXT = frozenset({".json", ".md", ".html", ".csv", ".tsv", ".txt", ".yaml", ".yml", ".log", ".svg"})
_SNAPSHOT = ("meta.json", "reviews.arrow")
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
    return path.name.endswith((REJECTS_SUFFIX, PARTIAL))


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
