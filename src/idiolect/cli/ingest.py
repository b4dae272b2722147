"""``idiolect ingest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from idiolect.cli.options import Json, KeyFile, Quiet, Set, StorePath, columns, given, progress, show
from idiolect.config import load
from idiolect.corpus.parts import STDIN
from idiolect.experiments.ingest import IngestConfig, ingest_files


def _no_option(_: Any, value: str | None) -> None:
    """``-`` is a place to read from; what else begins so is a mistyped option."""
    if value is not None and value.startswith("-") and value != STDIN:
        raise ValueError(f"unknown option {value!r}")


Place = Annotated[str, Parameter(allow_leading_hyphen=True, validator=_no_option)]


def ingest(
    reviews: Place,
    /,
    *,
    store: StorePath = "idiolect.db",
    items: Place | None = None,
    format: str | None = None,
    columns_: Annotated[Set, Parameter(name="--column")] = (),
    item_columns: Annotated[Set, Parameter(name="--item-column")] = (),
    category: str | None = None,
    max_rejects: float | None = None,
    rejects: Path | None = None,
    pseudonyms: KeyFile = None,
    config: Path | None = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read reviews (and items) into a store.

    JSON lines, JSON arrays, CSV, Parquet and Arrow, plain or packed (gzip, zstd); Amazon 2014 and 2023, Yelp, DPL-main
    and DPL-meta, LaMP and LongLaMP as they are. Reading a file again changes nothing.

    Args:
        reviews: A file, a folder, a pattern in quotes, - for standard input, or hf://owner/name[/config[/split]].
        store: SQLite file (made where absent) or database URL.
        items: The same of the items, for titles and descriptions; LaMP and LongLaMP hold them with the reviews.
        format: jsonl, json, csv, parquet, arrow, amazon2014, amazon2023, yelp, dpl, lamp or longlamp; told from the
            content if not given.
        columns_: A field's column in the reviews' file, as field=column (fields: user, item, text, rating, title,
            timestamp, review_id, order; - for no column); may be repeated.
        item_columns: The same for the items' file (item, title, description, category).
        category: Prefix of item ids, where files of several categories go into one store.
        max_rejects: Share of rows that may be rejected before the command fails, 0 to 1; half if not given. From
            10,000 rows on it stops where the share is exceeded.
        rejects: Where rows that cannot be used are listed; beside the reviews if not given.
        pseudonyms: File of a secret key, made where there is none: users' ids are hashed with it, so that nobody who
            has the store but not the key can read or guess them. Every command that names a user then needs it.
        config: YAML file with any of format, columns, item_columns, category and max_rejects.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    flags = given(format=format, category=category, max_rejects=max_rejects)
    flags |= given(columns=columns(columns_), item_columns=columns(item_columns))
    settings = load(IngestConfig, config, flags)
    report = ingest_files(
        reviews, store=store, items=items, rejects=rejects, pseudonyms=pseudonyms, progress=progress(quiet),
        **settings.model_dump(),
    )  # fmt: skip
    show(report.record(), report.text(), as_json=json)
