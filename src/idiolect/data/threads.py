"""Posts and mails: what they are about, a thread or a subject, and the thread in the rows of its posts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from idiolect.data.formats import Unnest
from idiolect.data.records import NONE, Aliases, Columns, Row, cell_of, fold

THREAD_ALIASES: Aliases = {
    "item": (),
    "title": ("thread_title", "topic_title", "link_title"),
    "description": ("first_post", "thread_text", "topic_text"),
}
"""Column names of each field of a thread in the rows of its posts."""


def is_subject(column: str) -> bool:
    """Whether a column holds the subjects of mails (``Subject``, ``headers.subject``)."""
    return _last(column) == "subject"


def is_thread(column: str) -> bool:
    """Whether a column holds the ids of threads."""
    return _last(column) in ("threadid", "linkid")


def has_full_names(column: str, present: Collection[str]) -> bool:
    """Whether the ids in a column may be Reddit's full names: ``t3_8xyz1`` in a comment is the thread ``8xyz1``.

    Args:
        column: Of the items.
        present: The columns of the file.
    """
    if _last(column) in ("linkid", "parentid"):
        return True
    return _last(column) in ("id", "name") and not _OF_REDDIT.isdisjoint(map(fold, present))


_OF_REDDIT = frozenset({"subreddit", "subredditid", "selftext"})
"""Columns of Reddit's posts; elsewhere an id is kept as it is."""


def _last(column: str) -> str:
    return fold(column.rpartition(".")[2])


def columns_of_thread(thread: Columns, posts: Columns) -> Mapping[str, str] | None:
    """The columns of items, where rows of posts hold their thread.

    Args:
        thread: What ``THREAD_ALIASES`` found.
        posts: The columns of the posts.

    Returns:
        The column of every field of an item, ``"-"`` for one without; None if no column describes a thread.
    """
    of = {field: NONE if field in thread.absent else column for field, column in thread.of.items()}
    if of["title"] == of["description"] == NONE:
        return None
    # A category that is merely found is the post's; one that the user named is part of the item's id.
    return {**of, "category": posts.of.get("category", NONE)}


def rows_with_thread(columns: Mapping[str, str]) -> Unnest:
    """Passes over rows that say nothing of their thread; those that cannot be read are listed as posts."""
    of = [columns[field] for field in ("title", "description") if field in columns]

    def unnest(row: Row) -> Iterator[Row]:
        if isinstance(row.cells, dict) and any(cell_of(row.cells, column) not in (None, "") for column in of):
            yield row

    return unnest
