"""Erasing a user's traces from what the library wrote: rows where a file has rows, else the file."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from idiolect.corpus.atomic import is_sqlite, write_whole
from idiolect.experiments.erasure.traces import Traces
from idiolect.llm.cache import Cache, is_cache
from idiolect.store.files import PARTIAL
from idiolect.types import ReviewId

_WEIGHTS = frozenset({".safetensors", ".pt", ".bin", ".pth"})
_TEXT = frozenset({".json", ".md", ".html", ".csv", ".tsv", ".txt", ".yaml", ".yml", ".log", ".svg"})
_SNAPSHOT = ("meta.json", "reviews.arrow")
_REJECTS = ".rejects.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was removed from one place."""

    path: Path
    what: str
    """``snapshot``, ``folder``, ``file``, ``rows`` or ``answers``."""
    count: int = 1


def erase_from(place: Path, traces: Traces) -> Iterator[Erased]:
    """Erase a user from a file, or from everything in a folder.

    A snapshot goes whole, for it is made anew when it is needed, and so does a list of rejected rows, for it keeps the
    beginnings of rows and cannot say whose each was. From JSON lines and Parquet the rows with a trace go, from a cache
    the answers; any other file with a trace goes, and whole what a killed call left unfinished. Weights and stores are
    left alone. Links are not followed.
    """
    if place.is_symlink():
        return
    if place.is_file():
        yield from _erase_file(place, traces)
    elif all((place / name).is_file() for name in _SNAPSHOT):
        shutil.rmtree(place)
        yield Erased(path=place, what="snapshot")
    elif place.is_dir() and place.suffix == PARTIAL:
        shutil.rmtree(place)
        yield Erased(path=place, what="folder")
    elif place.is_dir():
        for inside in sorted(place.iterdir()):
            yield from erase_from(inside, traces)


def trained(place: Path) -> Iterator[Path]:
    """Every folder at or below ``place`` that holds weights."""
    if place.is_dir():
        yield from sorted({file.parent for file in place.rglob("*") if file.suffix in _WEIGHTS})


def _erase_file(path: Path, traces: Traces) -> Iterator[Erased]:
    count, what = 0, "rows"
    if is_sqlite(path):  # another database is left alone
        if is_cache(path):
            with Cache(path) as cache:
                count, what = cache.forget_reviews(map(ReviewId, traces.ids)), "answers"
    elif not _has_rows(path):
        if _file_has_trace(path, traces):
            path.unlink()
            count, what = 1, "file"
    else:
        try:
            count = _ROWS[path.suffix](path, traces)
        except (pl.exceptions.PolarsError, UnicodeDecodeError):  # damaged: nothing says whose its rows are
            path.unlink()
            count, what = 1, "file"
    if count:
        yield Erased(path=path, what=what, count=count)


def _has_rows(path: Path) -> bool:
    return path.suffix in _ROWS and not _cannot_say_whose(path)


def _cannot_say_whose(path: Path) -> bool:
    """A list of rejected rows, or an unfinished file."""
    return path.name.endswith((_REJECTS, PARTIAL))


def _file_has_trace(path: Path, traces: Traces) -> bool:
    if path.suffix in _WEIGHTS or is_sqlite(path):
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
    table = pl.read_parquet(path)
    texts = [name for name, dtype in table.schema.items() if dtype == pl.String]
    kept = table.filter([not traces.in_value(list(row)) for row in table.select(texts).iter_rows()])
    if kept.height < table.height:
        write_whole(path, kept.write_parquet)
    return table.height - kept.height


_ROWS: dict[str, Callable[[Path, Traces], int]] = {".jsonl": _erase_lines, ".parquet": _erase_rows}
