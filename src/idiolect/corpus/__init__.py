"""Review files to items, reviews and a split."""

from __future__ import annotations

from idiolect.corpus.frame import ITEM_SCHEMA, REVIEW_SCHEMA, item_frame, review_frame
from idiolect.corpus.holdout import make_split
from idiolect.corpus.readers import ItemFile, ReviewFile, open_items, open_reviews
from idiolect.corpus.rejects import ReadSummary, Rejected, RejectsWriter
from idiolect.corpus.rules import PRESETS, SplitConfig
from idiolect.corpus.split import MEMBER_SCHEMA, ROLES, Split, SplitCounts

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
