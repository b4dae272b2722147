"""``idiolect export``."""

from __future__ import annotations

from pathlib import Path

from idiolect.cli.options import Json, StorePath, show
from idiolect.experiments.transfer import export_folder


def export(*, out: Path, store: StorePath = "idiolect.db", json: Json = False) -> None:
    """Write a store as a folder of Parquet files: items, reviews, and each encoder's vectors.

    Args:
        out: Folder of the files; an earlier export there is replaced.
        store: SQLite file or database URL.
        json: Print one JSON object.
    """
    head = export_folder(store, out)
    text = f"{head['reviews']} reviews, {head['items']} items and {len(head['encoders'])} encoders' vectors in {out}"
    show(head, text, as_json=json)
