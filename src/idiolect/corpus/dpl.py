"""The DPL authors' sets: DPL-main holds users with their profiles, DPL-meta the items.

A row of DPL-main is ``{user_id, profile: [...], data: {...}}``. The profiles of a user's rows repeat each other, for
each is the one before with one more review, so a review's place in the profile is its ``order``.
"""

from __future__ import annotations

from collections.abc import Iterator

from idiolect.corpus.layouts import Past, Unnest, config_in, entries, relabelled
from idiolect.corpus.parts import Part
from idiolect.corpus.rows import Row

CONFIGS = ("Books", "Movies_and_TV", "CDs_and_Vinyl")
"""The categories, as configurations on the hub and as folders or names of files on disk."""


def is_dpl(cells: dict[str, object]) -> bool:
    """Whether these are the cells of DPL-main."""
    return {"user_id", "profile", "data"} <= set(cells)


def category_of(part: Part) -> str:
    """The category that a part of DPL-main or DPL-meta is of; empty where its name does not tell."""
    return config_in(part.trail, CONFIGS)


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
        yield relabelled(found, {**cells, "user": user, "order": place + 1})

    return unnest


def _cells(entry: Row) -> dict[str, object]:
    """The fields of a review, and nothing else that might pass for one."""
    if isinstance(entry.cells, str):
        return {}
    names = {"item": "asin", "text": "text", "rating": "rating", "title": "title", "timestamp": "timestamp"}
    return {field: entry.cells.get(name) for field, name in names.items()}
