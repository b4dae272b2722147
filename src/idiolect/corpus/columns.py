"""Which column of a file holds which field."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from idiolect.errors import ConfigError, InputError
from idiolect.registry import suggest

Aliases = Mapping[str, tuple[str, ...]]

REVIEW_ALIASES: Aliases = {
    "user": ("user_id", "user", "reviewerID", "userId", "reviewer_id", "author_id", "author"),
    "item": ("item_id", "item", "parent_asin", "asin", "itemId", "product_id", "business_id", "pid"),
    "text": ("text", "reviewText", "review_text", "review", "body", "content"),
    "rating": ("rating", "overall", "stars", "score"),
    "title": ("title", "summary", "review_title", "headline"),
    "timestamp": ("timestamp", "unixReviewTime", "time", "date", "created_at"),
    "review_id": ("review_id", "reviewId"),
    "order": ("order",),
    "category": (),
}
"""Names each field of a review goes by, best first. The category prefixes item ids, so it is taken only when named."""

NONE = "-"
"""Named as a field's column: the file's usual one is something else, and the field stays empty."""

ITEM_ALIASES: Aliases = {
    "item": ("item_id", "item", "parent_asin", "asin", "itemId", "product_id", "business_id", "pid", "id"),
    "title": ("title", "name"),
    "description": ("description",),
    "category": ("main_category", "category", "categories"),
}
"""Names each field of an item goes by, best first."""


def resolve_columns(
    aliases: Aliases, named: Mapping[str, str], present: Collection[str], *, required: Collection[str], where: str
) -> dict[str, str]:
    """The column of every field that has one.

    Args:
        aliases: Names each field goes by.
        named: Columns the user named, by field; they win over aliases. ``"-"`` says that the field has none.
        present: Columns of the file; empty where none could be read, then every field has its first alias.
        required: Fields that must have a column.
        where: The file, for messages.

    Raises:
        ConfigError: A field that does not exist is named.
        InputError: A named column does not exist, or a required field has none.
    """
    for name in named:
        if name not in aliases:
            raise ConfigError(f"columns: unknown field {name!r}", hint=suggest(name, aliases))
    found: dict[str, str] = {}
    for field, names in aliases.items():
        candidates = (named[field],) if field in named else names
        if candidates == (NONE,) and field not in required:
            continue
        column = next((name for name in candidates if name in present or not present), None)
        if column is not None:
            found[field] = column
        elif field in named:
            raise InputError(f"{where} has no column {named[field]!r}", hint=suggest(named[field], present))
        elif field in required:
            raise InputError(
                f"{where} has no column for {field!r} (it has {', '.join(sorted(present))})",
                hint=f"name it: --column {field}=NAME, or columns={{{field!r}: 'NAME'}}",
            )
        elif names and field != "order":  # where no column is known to hold it, the place does
            found[field] = names[0]  # it may first appear below the rows that were looked at
    return found
