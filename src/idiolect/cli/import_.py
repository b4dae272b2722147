"""``idiolect import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from idiolect.cli.options import Json, StorePath, show
from idiolect.experiments.transfer import import_folder

_Folder = Annotated[Path, Parameter(allow_leading_hyphen=False)]


def import_(
    folder: Annotated[Path, Parameter(allow_leading_hyphen=False)],
    /,
    *,
    store: StorePath = "idiolect.db",
    json: Json = False,
) -> None:
    """Read a folder that export wrote into a store; reading it again changes nothing.

    Args:
        folder: Of the Parquet files.
        store: SQLite file (made where absent) or database URL.
        json: Print one JSON object.
    """
    report = import_folder(folder, store)
    added = report.added
    text = f"{added.reviews_added} reviews, {added.items_added} items and {report.vectors} vectors added"
    known = added.reviews_known + added.items_known
    text += f", {known} rows known before" if known else ""
    text += f", {len(added.refused)} rows refused: {added.refused[0][1]}" if added.refused else ""
    record = {"reviews_added": added.reviews_added, "items_added": added.items_added, "vectors_added": report.vectors}
    show({**record, "known": known, "refused": len(added.refused), "equal": report.equal}, text, as_json=json)
