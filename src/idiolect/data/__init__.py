"""Review files to items, reviews and a split."""

from __future__ import annotations

from idiolect.data.kcore import ITEM_SCHEMA, REVIEW_SCHEMA, item_frame, review_frame
from idiolect.data.readers import open_items, open_reviews
from idiolect.data.record_file import ItemFile, ReviewFile
from idiolect.data.rejects import ReadSummary, Rejected, RejectsWriter
from idiolect.data.split import MEMBER_SCHEMA, ROLES, Split, SplitCounts, make_split
from idiolect.data.split_config import PRESETS, SplitConfig

__all__ = [
    "ITEM_SCHEMA",
    "MEMBER_SCHEMA",
    "PRESETS",
    "REVIEW_SCHEMA",
    "ROLES",
    "ItemFile",
    "ReadSummary",
    "Rejected",
    "RejectsWriter",
    "ReviewFile",
    "Split",
    "SplitConfig",
    "SplitCounts",
    "item_frame",
    "make_split",
    "open_items",
    "open_reviews",
    "review_frame",
]
