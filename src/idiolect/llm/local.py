"""What the backends that run a model in this process share: its name, the check of soft rows, the finished answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from idiolect.encoders.digest import folder_digest
from idiolect.errors import ArtifactError
from idiolect.llm.base import Completion
from idiolect.prompts.tokenize import EncodedPrompt, PromptTokenizer
from idiolect.types import Prompt


def model_name(model: str, where: Path, commit: str | None) -> str:
    """Model and revision, for records; of a folder its own name, not its path, for an adapter moves with its backbone.

    Args:
        model: As configured: a folder, a hub name or ``sandbox``.
        where: The folder, if it is one.
        commit: Of a hub model.
    """
    if where.is_dir():
        return f"{Path(model).name}@{folder_digest(where)}"
    return f"{model}@{(commit or '')[:12]}".removesuffix("@")


def soft_rows(prompt: Prompt, width: int) -> np.ndarray | None:
    """The prompt's soft rows, one a slot; splicing itself would take too many, or too wide ones, in silence.

    Raises:
        ArtifactError: There are more or fewer than slots, or they are not ``width`` wide.
    """
    wanted = (len(prompt.slots), width)
    if prompt.soft is not None and prompt.soft.shape != wanted:
        raise ArtifactError(
            f"soft rows of shape {prompt.soft.shape} for {wanted[0]} slots of a model of width {wanted[1]}",
            hint="use the adapter that was fitted on this backbone",
        )
    return prompt.soft


def completion(prompts: PromptTokenizer, encoded: EncodedPrompt, row: Sequence[int], seconds: float) -> Completion:
    """An answer as ids, with what it took.

    Args:
        prompts: The model's.
        encoded: What was answered.
        row: Ids of the answer, its end included where there is one.
        seconds: It took.
    """
    written = prompts.length(row)
    return Completion(
        text=prompts.decode(row),
        prompt_tokens=len(encoded.ids),
        completion_tokens=min(written + 1, len(row)),
        kept_entries=encoded.kept_entries,
        seconds=seconds,
        truncated=written == len(row),
    )
