"""LaMP and LongLaMP: users with profiles of texts, and one more text each that is to be written.

The text to be written is the user's newest: the sets leave out when it was written, so that it takes the time of the
last dated entry of the profile, and an ``order`` after it.

What was written becomes the review; what it was written about (an article, an abstract, a product's description)
becomes the item, known by its content, so that all who wrote about it share it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from idiolect.corpus.fields import parse_optional_id
from idiolect.corpus.layouts import About, Past, Unnest, about_id, entries, is_text, one_of, relabelled
from idiolect.corpus.parts import Part, answers_of
from idiolect.corpus.rejects import UnusableRow
from idiolect.corpus.rows import Row
from idiolect.corpus.source import open_bytes, readable
from idiolect.errors import InputError

Cells = dict[str, Any]
Kind = Literal["reviews", "items"]

_USERS = ("user_id", "name", "reviewerId", "reviewerID", "author", "id")
_UNKNOWN = object()
"""The answer to a question that has none in the file of outputs."""
_TASKS_OF_LABELS = {"LaMP_1", "LaMP_3"}
"""Their answers are a choice and a number, which nobody wrote."""


def is_lamp(cells: Cells) -> bool:
    """Whether these are the cells of a LaMP question."""
    return {"id", "input", "profile"} <= set(cells) and "output" not in cells


def is_longlamp(cells: Cells) -> bool:
    """Whether these are the cells of LongLaMP."""
    return {"input", "output", "profile"} <= set(cells)


def lamp_in(kind: Kind) -> Callable[[Part], Unnest]:
    """Takes apart LaMP questions; their answers are read from the file beside them where there is one."""

    def make(part: Part) -> Unnest:
        beside = answers_of(part.path) if part.path else None
        answers = read_answers(beside) if beside and beside != part.path else {}
        return _unnesting(kind, _lamp_entry, lambda cells: answers.get(_key(cells.get("id")), _UNKNOWN))

    return make


def longlamp_in(kind: Kind) -> Callable[[Part], Unnest]:
    """Takes apart rows of LongLaMP."""
    return lambda _: _unnesting(kind, _longlamp_entry, lambda cells: cells.get("output"))


def read_answers(path: Path) -> dict[str, Any]:
    """The answers of a LaMP file of outputs by question; none where there is no file or its answers are labels.

    Answers are as they stand in the file: one that is no text is its row's own fault.

    Raises:
        InputError: It is not ``{task, golds: [{id, output}]}``.
    """
    if "questions" in path.name or not path.exists():
        return {}
    with readable(path), open_bytes(path) as file:
        try:
            content = json.load(file)
            golds = {_key(gold["id"]): gold["output"] for gold in content["golds"]}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                f"{str(path)!r} is no LaMP file of outputs", hint="fetch it again, or remove it"
            ) from error
    return {} if content.get("task") in _TASKS_OF_LABELS else golds


def _unnesting(kind: Kind, entry: Callable[[Cells], Cells], answer: Callable[[Cells], Any]) -> Unnest:
    def unnest(row: Row) -> Iterator[Row]:
        if isinstance(row.cells, str):
            yield row
            return
        place, user, past = -1, one_of(row.cells, *_USERS), Past()
        for place, found in enumerate(entries(row, row.cells.get("profile"))):
            cells = entry(found.cells if isinstance(found.cells, dict) else {})
            past.note(cells.get("timestamp"))
            if kind == "reviews" or any(cells["about"]):
                yield relabelled(found, _record(kind, cells, user, place))
        written = answer(row.cells)
        if written is not _UNKNOWN:
            target = {"text": written, "about": About(description=_text(row.cells.get("input")))}
            target["timestamp"] = past.after(one_of(row.cells, "date", "timestamp", "year"))
            yield Row(row.line, _record(kind, target, user, place + 1), row.cells)

    return unnest


def _record(kind: Kind, cells: Cells, user: Any, place: int) -> Cells | str:
    """The cells of a review, or of the item that it is about; the reason why there are none."""
    about: About = cells.pop("about")
    if not all(map(is_text, about)):  # no store could hold the item that the id is made of
        return "not UTF-8"
    item = about_id(about, user, cells.get("text"))
    if kind == "items":
        return {"item": item, "title": about.title, "description": about.description}
    return {**cells, "user": user, "item": item, "order": place}


def _lamp_entry(cells: Cells) -> Cells:
    """By the keys of tasks 1 to 7: what the task has people write, about what."""
    dated = {"timestamp": one_of(cells, "date", "timestamp", "year")}
    if "tag" in cells:
        return {"text": cells["tag"], "about": About(description=_text(cells.get("description"))), **dated}
    if "abstract" in cells:
        return {"text": cells.get("title"), "about": About(description=_text(cells["abstract"])), **dated}
    if "title" in cells:
        return {"text": cells["title"], "about": About(description=_text(cells.get("text"))), **dated}
    return {"text": cells.get("text"), "rating": cells.get("score"), "about": About(), **dated}


def _longlamp_entry(cells: Cells) -> Cells:
    """Product reviews, abstracts, e-mails, and posts under a topic."""
    if "reviewText" in cells:
        about = About(description=_text(cells.get("description")))
        review = {"text": cells["reviewText"], "title": cells.get("summary"), "rating": cells.get("overall")}
        return {**review, "about": about, "timestamp": one_of(cells, "unixReviewTime", "timestamp", "date")}
    if "abstract" in cells:
        dated = {"timestamp": one_of(cells, "date", "year")}
        return {"text": cells["abstract"], "about": About(title=_text(cells.get("title"))), **dated}
    about = About(title=_text(cells.get("title")), description=_text(one_of(cells, "input", "summary")))
    dated = {"timestamp": one_of(cells, "timestamp", "date", "created_utc")}
    return {"text": one_of(cells, "output", "text", "content"), "about": about, **dated}


def _key(question: Any) -> str:
    """A question's id in one spelling, whichever of the two files it is in."""
    try:
        return parse_optional_id(question, "id")
    except UnusableRow:
        return str(question)


def _text(value: Any) -> str:
    """A text, or the texts of a list; what is neither is left to stand for itself in the item's id."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)
