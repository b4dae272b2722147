"""Known data set layouts, their detection, and how rows with several records are unnested.

The cells returned have the names that ``columns`` looks for first.

- DPL: a row of DPL-main is ``{user_id, profile: [...], data: {...}}``; DPL-meta has the items. The profiles of a
  user's rows repeat each other with one more review each, so a review's place in the profile is its ``order``. A user
  is a user of a category, as in the authors' programs: ids of users are prefixed like those of items.
- LaMP and LongLaMP: users with profiles of texts, and one more text each that is to be written. It is the user's
  newest: the sets do not say when it was written, so it gets the time of the last dated entry of the profile and an
  ``order`` after it. What was written becomes the review; what it is about (an article, an abstract, a product's
  description) becomes the item, identified by its content, so that all who wrote about it share it. Of an input it is
  what remains without the instruction (``wordings``).

- PGraphRAG and MemoryCD: a user per row, with all of their reviews; in MemoryCD by domain, which becomes the items'
  category. Nothing says which review is a target.

The text that a row asks for has a true cell ``TARGET``; ``published.role_of`` says what it is a target of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from itertools import count, islice, takewhile
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from idiolect.data import wordings
from idiolect.data.containers import Container, suffix_container
from idiolect.data.files import OtherContentError, open_bytes, readable
from idiolect.data.parts import Part, answers_of
from idiolect.data.records import Row
from idiolect.data.rejects import UnusableRow
from idiolect.data.times import parse_timestamp
from idiolect.data.values import parse_optional_id
from idiolect.data.wordings import About, parse_input
from idiolect.errors import ConfigError, InputError
from idiolect.registry import suggest

Unnest = Callable[[Row], Iterator[Row]]

TARGET = "is_target"
"""The cell that marks the target of a row."""


class Layout(NamedTuple):
    """How the rows of a format become records."""

    reviews: Callable[[Part], Unnest]
    """Makes what takes apart the rows of a part that holds reviews."""
    items: Callable[[Part], Unnest] | None = None
    """The same for items in the same rows; None if items have their own files."""


def about_id(about: About, user: Any, text: Any) -> str:
    """An id for what has none: equal for all who wrote about the same thing, the text's own where nothing is known."""
    known = about.title or about.description
    parts = (str(about.title), str(about.description)) if known else (str(user), str(text))
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def entries(row: Row, profile: object, name: str = "profile") -> Iterator[Row]:
    """The entries of a profile, one row each; whatever is no entry comes as the reason why.

    Args:
        row: That holds it.
        profile: A list of objects, if all is well.
        name: What the set calls it, for the reasons.
    """
    if not isinstance(profile, list):
        yield Row(row.line, f"missing {name}" if profile is None else f"wrong type: {name}", row.raw)
        return
    for entry in profile:
        yield Row(row.line, entry if isinstance(entry, dict) else f"wrong type: {name} entry", entry)


def relabelled(row: Row, cells: dict[str, Any] | str) -> Row:
    """``row`` with other cells, unless it has none."""
    return row if isinstance(row.cells, str) else Row(row.line, cells, row.raw)


class Past:
    """The known times of the entries of a profile; a later text is dated by the last one."""

    def __init__(self) -> None:
        self._last: dict[bool, int] = {}
        """The last one, and the last tick of what is no time but a mere clock."""

    def note(self, timestamp: Any) -> None:
        """Add an entry's time; one that cannot be parsed is ignored."""
        for clock in (False, True):
            with suppress(UnusableRow):
                seconds = parse_timestamp(timestamp, clock=clock)
                if seconds is not None:
                    self._last[clock] = max(seconds, self._last.get(clock, 0))
                return

    def after(self, timestamp: Any) -> Any:
        """When the text after the profile was written: its own time, never before the last entry's."""
        self.note(timestamp)
        # A moment cannot be taken for a year or a day, as seconds of the first years may be.
        return (
            datetime.fromtimestamp(self._last[False], UTC) if False in self._last else self._last.get(True, timestamp)
        )


def is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def one_of(cells: Mapping[str, Any], *names: str) -> Any:
    """The first of these columns that holds anything."""
    return next((cells[name] for name in names if cells.get(name) not in (None, "")), None)


def config_in(path_parts: tuple[str, ...], configs: tuple[str, ...]) -> str:
    """Which of ``configs`` a part belongs to, by the names that lead to it (``Books/train.parquet``); else nothing."""
    for name in reversed(path_parts):
        start = "".join(takewhile(lambda letter: letter.isalnum() or letter == "_", name))
        found = next((config for config in configs if start == config or name.startswith(config)), "")
        if found:
            return found
    return ""


CONFIGS = ("Books", "Movies_and_TV", "CDs_and_Vinyl")
"""The categories, as configurations on the hub and as folders or names of files on disk."""


def is_dpl(cells: dict[str, object]) -> bool:
    """Whether these are the cells of DPL-main."""
    return {"user_id", "profile", "data"} <= set(cells)


def category_of(part: Part) -> str:
    """The category of a part of DPL-main or DPL-meta, by its name; empty if unknown."""
    return config_in(part.path_parts, CONFIGS)


def reviews_in(_: Part) -> Unnest:
    """Takes apart rows of DPL-main: the profile, oldest first, then the target."""

    def unnest(row: Row) -> Iterator[Row]:
        if isinstance(row.cells, str):
            yield row
            return
        user, profile, target = (row.cells.get(name) for name in ("user_id", "profile", "data"))
        place, past = -1, Past()
        for place, entry in enumerate(entries(row, profile)):
            cells = _cells(entry)
            past.note(cells.get("timestamp"))
            yield relabelled(entry, {**cells, "user": user, "order": place})
        found = Row(row.line, target if isinstance(target, dict) else "wrong type: data", target)
        cells = _cells(found)
        if cells.get("timestamp") in (None, ""):
            cells["timestamp"] = past.after(None)
        yield relabelled(found, {**cells, "user": user, "order": place + 1, TARGET: True})

    return unnest


def _cells(entry: Row) -> dict[str, object]:
    """The fields of a review, without other keys that could be taken for fields."""
    if isinstance(entry.cells, str):
        return {}
    names = {"item": "asin", "text": "text", "rating": "rating", "title": "title", "timestamp": "timestamp"}
    return {field: entry.cells.get(name) for field, name in names.items()}


Cells = dict[str, Any]
Kind = Literal["reviews", "items"]

_USERS = ("user_id", "name", "reviewerId", "reviewerID", "author", "id")
_TIMES = ("date", "timestamp", "year", "unixReviewTime", "reviewTime")
"""Of the row itself."""
_UNKNOWN = object()
"""The answer to a question that has none in the file of outputs."""
_TASKS_OF_LABELS = {"LaMP_1", "LaMP_3"}
"""Their answers are a choice and a number, which no user wrote."""
_LABEL = re.compile(r"\s*\[?[1-5](?:\.0)?\]?\s*")
"""An answer of these tasks in a row that names no task."""
_LONGLAMP_USERS = {"name", "reviewerId", "reviewerID", "author"}
"""Columns of users in LongLaMP, whose rows have no ``id`` of a question."""


def is_lamp(cells: Cells) -> bool:
    """Whether these are the cells of a LaMP question, perhaps with its answer joined to it."""
    if not {"id", "input", "profile"} <= set(cells):
        return False
    return "output" not in cells or not (_LONGLAMP_USERS & set(cells) or wordings.is_longlamp(_text(cells["input"])))


def is_longlamp(cells: Cells) -> bool:
    """Whether these are the cells of LongLaMP."""
    return {"input", "output", "profile"} <= set(cells) and not is_lamp(cells)


def lamp_in(kind: Kind) -> Callable[[Part], Unnest]:
    """Splits LaMP questions into records; answers are in the rows or in the file next to them, if there are any."""

    def make(part: Part) -> Unnest:
        answer_file = answers_of(part.path) if part.path else None
        answers = read_answers(answer_file) if answer_file and answer_file != part.path else {}
        return _unnesting(kind, _lamp_entry, partial(_lamp_answer, answers))

    return make


def _lamp_answer(answers: Mapping[str, Any], cells: Cells) -> Any:
    """The answer in the row itself, else that of the file of outputs."""
    if cells.get("output") is None:
        return answers.get(_key(cells.get("id")), _UNKNOWN)
    return _UNKNOWN if _LABEL.fullmatch(_text(cells["output"])) else cells["output"]


def longlamp_in(kind: Kind) -> Callable[[Part], Unnest]:
    """Takes apart rows of LongLaMP."""
    return lambda _: _unnesting(kind, _longlamp_entry, lambda cells: cells.get("output"))


def read_answers(path: Path) -> dict[str, Any]:
    """The answers of a LaMP file of outputs by question; none if there is no file or its answers are labels.

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
            task = parse_input(_text(row.cells.get("input")))
            target = {"text": written, "title": task.title, "rating": task.rating, "about": task.about}
            target["timestamp"] = past.after(one_of(row.cells, *_TIMES))
            record = _record(kind, target, user, place + 1)
            yield Row(row.line, record if isinstance(record, str) else {**record, TARGET: True}, row.cells)

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
        return {
            **review,
            "about": about,
            "timestamp": one_of(cells, "unixReviewTime", "timestamp", "date", "reviewTime"),
        }
    if "abstract" in cells:
        dated = {"timestamp": one_of(cells, "date", "year")}
        return {"text": cells["abstract"], "about": About(title=_text(cells.get("title"))), **dated}
    about = parse_input(_text(one_of(cells, "input", "summary"))).about
    about = About(_text(cells.get("title")) or about.title, about.description)
    dated = {"timestamp": one_of(cells, "timestamp", "date", "created_utc")}
    return {"text": one_of(cells, "output", "text", "content"), "about": about, **dated}


_ITEM = ("pid", "product_id", "parent_asin", "asin")


def is_pgraphrag(cells: Cells) -> bool:
    """Whether these are the cells of a user of PGraphRAG."""
    return set(cells) == {"id", "profile"} and isinstance(cells["profile"], list)


def is_memorycd(cells: Cells) -> bool:
    """Whether these are the cells of a user of MemoryCD."""
    return {"user_id", "interactions"} <= set(cells) and isinstance(cells["interactions"], dict)


def pgraphrag_in(_: Part) -> Unnest:
    """Takes apart rows of PGraphRAG (arXiv 2501.02157): one review per entry of the profile; the rows hold no times."""

    def unnest(row: Row) -> Iterator[Row]:
        if isinstance(row.cells, str):
            yield row
            return
        user = row.cells.get("id")
        for place, entry in enumerate(entries(row, row.cells.get("profile"))):
            yield relabelled(entry, {**_reviewed(entry), "user": user, "order": place})

    return unnest


def memorycd_in(kind: Kind) -> Callable[[Part], Unnest]:
    """Takes apart rows of MemoryCD (arXiv 2603.25973): one review per interaction of each domain."""

    def unnest(row: Row) -> Iterator[Row]:
        if isinstance(row.cells, str):
            yield row
            return
        user, domains = row.cells.get("user_id"), row.cells.get("interactions")
        if not isinstance(domains, dict):
            reason = "missing interactions" if domains is None else "wrong type: interactions"
            yield Row(row.line, reason, row.raw)
            return
        places = count()
        for domain, interactions in domains.items():
            for entry in entries(row, interactions, "interactions"):
                cells = {**_reviewed(entry), "user": user, "order": next(places)}
                yield relabelled(entry, {"item": cells["item"], "category": domain} if kind == "items" else cells)

    return lambda _: unnest


def _reviewed(entry: Row) -> Cells:
    """The fields of a review under the names that the two sets and their versions use."""
    cells = entry.cells if isinstance(entry.cells, dict) else {}
    return {
        "item": one_of(cells, *_ITEM),
        "text": one_of(cells, "text", "review_text", "reviewText"),
        "title": one_of(cells, "title", "review_title"),
        "rating": one_of(cells, "rating", "overall_rating"),
        "timestamp": one_of(cells, "timestamp"),
    }


def _key(question: Any) -> str:
    """A question's id in one spelling, whichever of the two files it is in."""
    try:
        return parse_optional_id(question, "id")
    except UnusableRow:
        return str(question)


def _text(value: Any) -> str:
    """A text, or the texts of a list, without blanks around it: an instruction before it may have cost some."""
    return " ".join(map(str, value)).strip() if isinstance(value, list) else "" if value is None else str(value).strip()


Format = Literal[
    "jsonl", "json", "csv", "parquet", "arrow", "amazon2014", "amazon2023", "yelp", "dpl", "lamp", "longlamp",
    "pgraphrag", "memorycd", "table",
]  # fmt: skip
"""How a location is written: how its rows are held where each is one record, else whose layout they have. ``table``: a
data set of the hub with one record a row."""

LAYOUTS: Mapping[Format, Layout] = {
    "dpl": Layout(reviews_in),
    "lamp": Layout(lamp_in("reviews"), lamp_in("items")),
    "longlamp": Layout(longlamp_in("reviews"), longlamp_in("items")),
    "pgraphrag": Layout(pgraphrag_in),
    "memorycd": Layout(memorycd_in("reviews"), memorycd_in("items")),
}
"""The formats with several records per row."""

_HELD: Mapping[Format, Container] = {
    "jsonl": "jsonl",
    "json": "json",
    "csv": "csv",
    "parquet": "parquet",
    "arrow": "arrow",
    "amazon2014": "literal",
    "amazon2023": "jsonl",
    "yelp": "jsonl",
}
_HEAD_ROWS = 100


class Written(NamedTuple):
    """How a part is written."""

    format: Format
    container: Container | None


def detect_format(part: Part, wanted: str) -> Written:
    """The format called ``wanted``, or what ``part`` looks like where that is ``"auto"``.

    Raises:
        ConfigError: No format is called ``wanted``.
        InputError: The part cannot be read or looks like none of the formats.
    """
    if wanted == "auto":
        return _detect(part)
    for known in get_args(Format):
        if wanted == known:
            return Written(known, _HELD.get(known) or part.container())
    raise ConfigError(f"unknown format {wanted!r}", hint=suggest(wanted, ["auto", *get_args(Format)]))


def _detect(part: Part) -> Written:
    container = part.container()
    # Literals are tried where lines may be JSON: the first row that is an object says which they are.
    tried = "literal" if container == "jsonl" else container
    for row in islice(part.rows(tried), _HEAD_ROWS):
        if isinstance(row.cells, dict):
            return _dialect(row.cells, row.raw, container)
    if container == "jsonl" and part.path and suffix_container(part.path) is None:
        raise OtherContentError(
            f"cannot tell the format of {part.name!r}", hint=f"name it: {', '.join(get_args(Format))}"
        )
    return Written(_plain(container), container)


def _dialect(cells: dict[str, Any], raw: object, container: Container | None) -> Written:
    if is_dpl(cells):
        return Written("dpl", container)
    if is_longlamp(cells):
        return Written("longlamp", container)
    if is_lamp(cells):
        return Written("lamp", container)
    if is_pgraphrag(cells):
        return Written("pgraphrag", container)
    if is_memorycd(cells):
        return Written("memorycd", container)
    if container != "jsonl":
        return Written(_plain(container), container)
    return Written(*_line_dialect(cells, raw))


def _line_dialect(cells: dict[str, Any], raw: object) -> tuple[Format, Container]:
    if "parent_asin" in cells:
        return "amazon2023", "jsonl"
    if "business_id" in cells:
        return "yelp", "jsonl"
    literal = isinstance(raw, bytes) and raw.lstrip().startswith(b"{'")
    return ("amazon2014", "literal") if literal or "reviewerID" in cells else ("jsonl", "jsonl")


def _plain(container: Container | None) -> Format:
    return "table" if container is None else "jsonl" if container == "literal" else container
