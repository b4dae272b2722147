"""``idiolect write``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from idiolect.cli.options import Json, KeyFile, Set, StorePath, overrides, show, warn
from idiolect.experiments.write import Written, write_review


def write(
    *,
    user: str,
    item: str,
    store: StorePath = "idiolect.db",
    adapter: Path | None = None,
    method: str = "auto",
    rating: float | None = None,
    title: str = "",
    backbone: str | None = None,
    encoder: str | None = None,
    pseudonyms: KeyFile = None,
    config: Path | None = None,
    set: Set = (),
    include_own_review: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Write a review of an item as a user would.

    Args:
        user: Whose voice.
        item: What about.
        store: SQLite file or database URL.
        adapter: Folder of a fitted adapter; its settings are used.
        method: auto (dep with an adapter, rag without), nonpersonalized, rag, dep; pag, dpl or drp, which first put
            the user into words; or module:Class, one of your own.
        rating: The rating to write to.
        title: The title to write to.
        backbone: Folder or hub name; with an adapter from elsewhere, the one it was fitted with.
        encoder: Whose vectors are used; with an adapter from elsewhere, the one it was fitted with.
        pseudonyms: File of the key, where the store knows users by pseudonyms.
        config: YAML file of settings, where there is no adapter.
        set: A setting as name=value (sampling.temperature=0); may be repeated.
        include_own_review: Show the model what the user already wrote about this item; otherwise it is left out.
        json: Print one JSON object, with everything the text was written from.
    """
    prediction = write_review(
        store, user=user, item=item, adapter=adapter, method=method, rating=rating, title=title,
        backbone=backbone, encoder=encoder, config=config, changes=overrides(set), pseudonyms=pseudonyms,
        include_own_review=include_own_review,
    )  # fmt: skip
    for note in prediction.notes:
        warn(note)
    show({"user": user, "item": item, **_record(prediction)}, prediction.text, as_json=json)


def _record(prediction: Written) -> dict[str, Any]:
    """Everything the text was written from."""
    return {
        "method": prediction.method,
        "text": prediction.text,
        "profile": prediction.stages.get("profile"),
        "stages": dict(prediction.stages),
        "features": [{**asdict(feature), "valid": feature.valid} for feature in prediction.features],
        "anchors": list(prediction.anchors),
        "rungs": dict(prediction.rungs),
        "own_reviews": list(prediction.own_reviews),
        "own_reviews_shown": prediction.own_reviews_shown,
        "prompt_tokens": prediction.prompt_tokens,
        "completion_tokens": prediction.completion_tokens,
        "notes": list(prediction.notes),
        "usage": {stage: asdict(took) for stage, took in prediction.usage.items()},
    }
