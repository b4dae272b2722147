"""``idiolect split``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from idiolect.cli.options import Json, Set, StorePath, overrides, show
from idiolect.experiments.split import split_store


def split(
    *,
    out: Path,
    store: StorePath = "idiolect.db",
    preset: str | None = None,
    config: Path | None = None,
    set: Set = (),
    json: Json = False,
) -> None:
    """Choose users and hold out their newest reviews as train, validation and test targets.

    A split is of the store as it is now. After any ingest or add it is refused: split again, and fit again what was
    fitted on it. For a store that grows, keep a copy of the file to measure on.

    Args:
        out: Folder of the split.
        store: SQLite file or database URL.
        preset: small (also where not given), or dpl for the DPL authors' thresholds.
        config: YAML file of thresholds, and of the preset under preset.
        set: A threshold as name=value (min_user_reviews=10); may be repeated.
        json: Print one JSON object.
    """
    made = split_store(store, out, preset=preset, config=config, changes=overrides(set))
    counts = made.counts
    members = made.members.height
    undated = (
        f"\n{counts.undated} of these {members} reviews have no timestamp: each counts as older than the dated reviews "
        "of its user, in the order of the file"
        if 0 < counts.undated < members
        else ""
    )
    text = (
        f"{counts.users} users: {counts.profile} profile reviews, {counts.train} train, {counts.validation} validation "
        f"and {counts.test} test targets\nof {counts.reviews} reviews, {counts.eligible} passed the filters and "
        f"{counts.core_rounds[-1] if counts.core_rounds else 0} the k-core ({len(counts.core_rounds)} rounds)\n"
        f"split in {out}{undated}"
    )
    show({"folder": str(out), **asdict(counts)}, text, as_json=json)
