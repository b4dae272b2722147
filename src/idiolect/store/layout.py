"""The parts of a snapshot folder, written.

Rows stand in order of (history first, user, time). ``profiles`` holds where each user's history begins; ``pool_*`` holds
the rows of each item's peers, oldest first, with their users and times beside them, so that a request reads one run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import sqlalchemy as sa

from idiolect.corpus.frame import ITEM_SCHEMA, REVIEW_SCHEMA
from idiolect.errors import ArtifactError
from idiolect.store.files import create_array, map_array, write_table
from idiolect.store.keys import write_keys
from idiolect.store.sums import add_group_sums
from idiolect.store.vectors import EncoderRow, vector_batches

UNDATED = np.iinfo(np.int64).max
"""Stands in ``pool_times`` for no timestamp: earlier than no time cut."""


def write_items(folder: Path, records: pl.DataFrame, rows: pl.DataFrame) -> int:
    """Write every item that has a record or a visible review; returns their number.

    An item's code is its row here; those without a record come last.
    """
    bare = rows.select(pl.col("item").unique(maintain_order=True)).join(records, on="item", how="anti", maintain_order="left")
    every = pl.concat(
        [records.with_columns(known=True), bare.with_columns(known=False)], how="diagonal"
    ).with_columns(pl.col("title", "description", "category").fill_null(""))
    write_table(folder / "items.arrow", every.select(*ITEM_SCHEMA, "known"))
    write_keys(folder / "items.keys.npy", every["item"].to_list())
    return every.height
