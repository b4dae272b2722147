"""LaMP and LongLaMP: users with profiles of texts, and one more text each that is to be written.

What was written becomes the review; what it was written about (an article, an abstract, a product's description)
becomes the item, known by its content, so that all who wrote about it share it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from idiolect.corpus.layouts import About, Unnest, about_id, entries, one_of, relabelled
from idiolect.corpus.parts import Part, answers_of
from idiolect.corpus.rows import Row
from idiolect.corpus.source import open_bytes, readable
from idiolect.errors import InputError

Cells = dict[str, Any]
Kind = Literal["reviews", "items"]

_USERS = ("user_id", "name", "reviewerId", "reviewerID", "author", "id")
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
        return _unnesting(kind, _lamp_entry, lambda cells: answers.get(str(cells.get("id"))))

    return make


def longlamp_in(kind: Kind) -> Callable[[Part], Unnest]:
    """Takes apart rows of LongLaMP."""
    return lambda _: _unnesting(kind, _longlamp_entry, lambda cells: cells.get("output"))


def read_answers(path: Path) -> dict[str, str]:
    """The answers of a LaMP file of outputs by question; none where there is no file or its answers are labels.

    Raises:
        InputError: It is not ``{task, golds: [{id, output}]}``.
    """
    if "questions" in path.name or not path.exists():
        return {}
    with readable(path), open_bytes(path) as file:
        try:
            content = json.load(file)
            golds = {str(gold["id"]): str(gold["output"]) for gold in content["golds"]}
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
        place, user = -1, one_of(row.cells, *_USERS)
        for place, found in enumerate(entries(row, row.cells.get("profile"))):
            cells = entry(found.cells if isinstance(found.cells, dict) else {})
            if kind == "reviews" or any(cells["about"]):
                yield relabelled(found, _record(kind, cells, user, place))
        written = answer(row.cells)
        if written is not None:
            target = {"text": written, "about": About(description=_text(row.cells.get("input")))}
            yield Row(row.line, _record(kind, target, user, place + 1), row.cells)

    return unnest


def _record(kind: Kind, cells: Cells, user: Any, place: int) -> Cells:
    """The cells of a review, or of the item that it is about."""
    about: About = cells.pop("about")
    item = about_id(about, user, cells.get("text"))
    if kind == "items":
        return {"item": item, "title": about.title, "description": about.description}
    return {**cells, "user": user, "item": item, "order": place}


def _lamp_entry(cells: Cells) -> Cells:
    """By the keys of tasks 1 to 7: what the task has people write, about what."""
    dated = {"timestamp": cells.get("date")}
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
        return {**review, "about": about}
    if "abstract" in cells:
        year = cells.get("year")
        dated = {"timestamp": f"{year}-01-01" if year not in (None, "") else None}
        return {"text": cells["abstract"], "about": About(title=_text(cells.get("title"))), **dated}
    about = About(title=_text(cells.get("title")), description=_text(one_of(cells, "input", "summary")))
    return {"text": one_of(cells, "output", "text", "content"), "about": about}


def _text(value: Any) -> str:
    """A text, or the texts of a list; what is neither is left to stand for itself in the item's id."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)
