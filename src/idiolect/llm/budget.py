"""How long prompts may be where nobody says: as in the DEP paper, and no longer than the model can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from idiolect.errors import ArtifactError

_USUAL = 2048
"""Source: DEP paper, appendix C.2.3."""
_ANSWER = 256
"""Tokens of a model's context that are left for its answer."""


class Budget(NamedTuple):
    """Lengths in tokens."""

    prompt: int
    """No prompt is longer."""
    history: int
    """No history entry is kept that would make a prompt longer than this."""


def budget(asked: int | None, where: Path, positions: int | None) -> Budget:
    """The budget that is asked for, or else one that fits the model.

    A model that was pretrained on short documents garbles what comes behind longer ones, though it has positions for
    more: of one that ``pretrain`` made, history reaches only as far as its documents did.

    Args:
        asked: ``BackboneConfig.max_prompt_tokens``.
        where: The model's folder, if it is one.
        positions: How many tokens the model has positions for; None: it does not say.

    Raises:
        ArtifactError: The record that ``pretrain`` left in the folder cannot be read.
    """
    if asked is not None:
        return Budget(asked, asked)
    most = _USUAL if positions is None else min(_USUAL, positions - min(_ANSWER, positions // 2))
    return Budget(most, min(most, _learnt(where) or most))


def _learnt(where: Path) -> int | None:
    """The longest prompt that a model of ``pretrain`` has seen whole, whatever the length of the text behind it."""
    path = where / "pretrain.json"
    if not path.is_file():
        return None
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))["recipe"]
        return int(recipe["max_tokens"]) - int(recipe["reference_tokens"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{str(path)!r} is not what pretrain leaves beside a model", hint="restore it") from error
