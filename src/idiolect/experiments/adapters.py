"""A fitted adapter's folder: what stands beside the weights, and that it is used with nothing else; free of torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from idiolect.errors import ArtifactError, NotFoundError

SETTINGS = "settings.json"
"""Beside an adapter: what it was fitted with."""
SANDBOX_ADAPTER = Path(__file__).parents[1] / "sandbox" / "adapter"
"""The adapter that ships with the package, of the shipped backbone and encoder; README.md beside it says how it was
fitted."""
CONSTANT = "constant"
"""Folder of the trained constant inside the adapter's; other controls are named as in ``variants``, too."""


def read_record(folder: Path) -> dict[str, Any]:
    """What ``fit`` recorded beside an adapter.

    Raises:
        NotFoundError: No adapter was fitted there.
        ArtifactError: The record is damaged.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise NotFoundError(f"no fitted adapter in {str(folder)!r}", hint="name the folder that idiolect fit wrote")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        fixed = {key: str(record[key]) for key in _FIXED}
        return {"settings": dict(record["settings"]), **fixed, "templates": str(record.get("templates", ""))}
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{str(path)!r} is damaged: {error}", hint="fit the adapter again") from error


_FIXED = ("encoder", "backbone", "store", "split")


def check_adapter(
    folder: Path,
    *,
    encoder: str,
    backbone: str,
    templates: str = "",
    store: str | None = None,
    split: str | None = None,
) -> None:
    """Refuse an adapter under what it was not fitted with, or on a re-made split of its store.

    On another split of the same store its training targets may be tested on; another store is fair.

    Args:
        folder: The adapter's.
        encoder: Name of the encoder in use.
        backbone: Name of the model in use.
        templates: Digest of one's own templates in use (``prompts.files.digest``); empty: the shipped ones.
        store: Fingerprint of the store that is read; None: a live one.
        split: Digest of the split's members; None: no split is used.

    Raises:
        NotFoundError: No adapter was fitted in ``folder``.
        ArtifactError: It does not fit.
    """
    record = read_record(folder)
    for what, now in (("encoder", encoder), ("backbone", backbone)):
        if record[what] != now:
            raise ArtifactError(
                f"the adapter in {str(folder)!r} was fitted with the {what} {record[what]!r}, not {now!r}",
                hint="use it with what it was fitted with, or fit again",
            )
    if record["templates"] != templates:
        raise ArtifactError(
            f"the adapter in {str(folder)!r} was fitted with other templates than these",
            hint="undo the changes in the folder prompt.templates, or fit again",
        )
    if store == record["store"] and split is not None and split != record["split"]:
        raise ArtifactError(
            f"the adapter in {str(folder)!r} was fitted on another split of this store", hint="fit it on this split"
        )
