"""``idiolect ingest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from idiolect.cli.options import Json, Quiet, Set, StorePath, columns, given, progress, show
from idiolect.config import load
from idiolect.experiments.ingest import IngestConfig, ingest_files


def ingest(
    reviews: Path,
    /,
    *,
    store: StorePath = "idiolect.db",
    items: Path | None = None,
    format: str | None = None,
    columns_: Annotated[Set, Parameter(name="--column")] = (),
    item_columns: Annotated[Set, Parameter(name="--item-column")] = (),
    category: str | None = None,
    max_rejects: float | None = None,
    rejects: Path | None = None,
    config: Path | None = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read a file of reviews (and items) into a store.

    JSON lines, CSV and Parquet, plain or gzipped; Amazon Reviews 2014 and 2023 as they are. Reading a file again
    changes nothing.

    Args:
        reviews: The file of reviews.
        store: SQLite file (made where absent) or database URL.
        items: The file of items, for titles and descriptions.
        format: How the files are written; told from the file if not given.
        columns_: A field's column in the reviews' file, as field=column (fields: user, item, text, rating, title,
            timestamp, review_id, order); may be repeated.
        item_columns: The same for the items' file (item, title, description, category).
        category: Prefix of item ids, where files of several categories go into one store.
        max_rejects: Share of rows that may be rejected before the command fails, 0 to 1; half if not given.
        rejects: Where rows that cannot be used are written; beside the reviews' file if not given.
        config: YAML file with any of format, columns, item_columns, category and max_rejects.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    flags = given(format=format, category=category, max_rejects=max_rejects)
    flags |= given(columns=columns(columns_), item_columns=columns(item_columns))
    settings = load(IngestConfig, config, flags)
    report = ingest_files(
        reviews, store=store, items=items, rejects=rejects, progress=progress(quiet), **settings.model_dump()
    )
    show(report.record(), report.text(), as_json=json)
