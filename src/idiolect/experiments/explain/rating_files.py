"""Rated sheets and keys as files that people had in their hands: whatever is wrong is one clear line."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

from idiolect.config import parse_json
from idiolect.corpus.atomic import is_sqlite
from idiolect.errors import InputError, NotFoundError
from idiolect.experiments.explain.rating_sheet import Entry

Answer = Literal["yes", "no", "unsure"]

_ANSWERS: Mapping[str, Answer] = {
    **dict.fromkeys(("yes", "y", "1", "true"), "yes"),
    **dict.fromkeys(("no", "n", "0", "false"), "no"),
    **dict.fromkeys(("unsure", "?", "don't know", "dont know"), "unsure"),
}
_KEY_HINT = "name it with --key; it was written beside the sheet"


def read_sheet(path: Path) -> dict[str, Answer]:
    """The answers of one rater by row; rows left empty are not among them.

    Commas, semicolons and tabs may part the columns, as spreadsheets choose.

    Raises:
        InputError: No such file, no such columns, a row twice, an answer that is none, or no answer at all.
    """
    text = _read(path)
    table = csv.DictReader(text.splitlines(keepends=True), delimiter=_delimiter(text))
    try:
        names = {(name or "").strip().lower(): name for name in table.fieldnames or ()}
    except csv.Error as error:
        raise InputError(f"{path} is not a table: {error}", hint="save it as CSV") from error
    if missing := [name for name in ("row", "answer") if name not in names]:
        raise InputError(
            f"{path} has no column {missing[0]!r}", hint="send back the sheet with its columns as they were"
        )
    seen: set[str] = set()
    answers: dict[str, Answer] = {}
    try:
        for line in table:
            row, answer = ((line[names[name]] or "").strip() for name in ("row", "answer"))
            if not (row or answer):  # spreadsheets leave blank lines below a table
                continue
            if row in seen:
                raise InputError(f"{path}: row {row!r} is there twice", hint="keep one of the two")
            seen.add(row)
            if answer:
                answers[row] = _answer(answer, f"{path}: row {row!r}")
    except csv.Error as error:
        raise InputError(f"{path} is not a table: {error}", hint="save it as CSV") from error
    if not answers:
        raise InputError(f"{path} has no answer", hint="write yes, no or unsure in the column answer")
    return answers


def read_key(key: Path | None, sheet: Path, answers: Mapping[str, Answer]) -> list[Entry]:
    """The entries of a key.

    Args:
        key: Its file; None: the one beside ``sheet`` that knows these rows.
        sheet: A rated sheet.
        answers: That sheet's answers.

    Raises:
        NotFoundError: There is none.
        InputError: It cannot be read.
    """
    if key is not None:
        return _entries(key)
    for path in sorted(sheet.resolve().parent.glob("*.key.json")):
        entries = _entries(path)
        if answers.keys() <= {entry.row for entry in entries}:
            return entries
    raise NotFoundError(f"there is no key of {str(sheet)!r} beside it", hint=_KEY_HINT)


def _answer(word: str, where: str) -> Answer:
    if word.lower() not in _ANSWERS:
        raise InputError(f"{where}: {word!r} is no answer", hint="write yes, no or unsure")
    return _ANSWERS[word.lower()]


def _delimiter(text: str) -> str:
    head = text.partition("\n")[0]
    return max(",;\t", key=head.count)


def _read(path: Path) -> str:
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder", hint="name the file in it")
    if is_sqlite(path):  # perhaps the store, which nothing but SQLite may open
        raise InputError(f"{str(path)!r} is an SQLite database", hint="name the CSV file")
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"there is no file {str(path)!r}", hint="check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {str(path)!r} as text: {error}", hint="save it as CSV in UTF-8") from error


def _entries(path: Path) -> list[Entry]:
    if not path.is_file():
        raise NotFoundError(f"there is no key {str(path)!r}", hint=_KEY_HINT)
    try:
        rows: Any = parse_json(_read(path))["rows"]
        if not all(isinstance(row[field.name], str) for row in rows for field in fields(Entry)):
            raise TypeError("a field is no text")
        return [Entry(**{field.name: row[field.name] for field in fields(Entry)}) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{str(path)!r} is no key of a sheet", hint=_KEY_HINT) from error
