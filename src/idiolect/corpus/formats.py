"""The formats a corpus may come in, and how one is told from another."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal, NamedTuple, get_args

from idiolect.corpus import dpl, lamp
from idiolect.corpus.containers import Container, suffix_container
from idiolect.corpus.layouts import Layout
from idiolect.corpus.parts import Part
from idiolect.corpus.source import OtherContentError
from idiolect.errors import ConfigError
from idiolect.registry import suggest

Format = Literal[
    "jsonl", "json", "csv", "parquet", "arrow", "amazon2014", "amazon2023", "yelp", "dpl", "lamp", "longlamp", "table"
]
"""How a location is written: how its rows are held where each is one record, else whose layout they have. ``table``: a
data set of the hub with one record a row."""

LAYOUTS: Mapping[Format, Layout] = {
    "dpl": Layout(dpl.reviews_in),
    "lamp": Layout(lamp.lamp_in("reviews"), lamp.lamp_in("items")),
    "longlamp": Layout(lamp.longlamp_in("reviews"), lamp.longlamp_in("items")),
}
"""The formats whose rows hold several records."""

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


def tell_format(part: Part, wanted: str) -> Written:
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
    if dpl.is_dpl(cells):
        return Written("dpl", container)
    if lamp.is_longlamp(cells):
        return Written("longlamp", container)
    if lamp.is_lamp(cells):
        return Written("lamp", container)
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
