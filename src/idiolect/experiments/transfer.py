"""A store to a folder of Parquet files, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from idiolect.store.files import remove_abandoned
from idiolect.store.parquet import ImportReport, check_export, export_store, import_store, read_head
from idiolect.store.sql import SqlStore


def export_folder(store: str, folder: Path) -> dict[str, Any]:
    """Write a store as Parquet files and note the folder in it, so that an erasure finds it.

    What exports left that were killed is removed first.

    Returns:
        Format, fingerprint, numbers of items and reviews, and the encoders.

    Raises:
        NotFoundError: There is no store.
        InputError: ``folder`` exists and is no export.
        ArtifactError: A user was erased while the export was written.
        OSError: The folder cannot be written, for instance because the disk is full.
    """
    folder = check_export(folder)
    with SqlStore(store, create=False) as database:
        remove_abandoned(database.outputs())
        database.record_output(folder, "export")
        return export_store(database, folder)


def import_folder(folder: Path, store: str) -> ImportReport:
    """Read an export into a store, which is made where there is none.

    Raises:
        NotFoundError: There is no export in ``folder``.
        ArtifactError: It is damaged, or of a later version.
    """
    read_head(folder)  # before a store is made for nothing
    with SqlStore(store) as database:
        return import_store(folder, database)
