"""A language model as the judge of texts: how close each is to what the user wrote about the item.

Source: the judge of the DPL paper (S-72B, S-GPT): a rubric from 0 (unrelated) to 10 (almost identical), divided by 10.
The wording is ours. Both orders of the two texts are asked for and averaged, because judges favour a position; the
prompt does not say which is the user's. An answer without a number from 0 to 10 is unknown; in the authors' program it
is 0.

People do not share the preference of judges for personalized texts (arXiv 2606.06614): read it between floor and
ceiling, beside the measures of style, and never alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from idiolect.evaluation.judge import Judge
from idiolect.llm.base import Usage
from idiolect.metrics.base import Mean
from idiolect.metrics.fidelity import MeanOfKnown
from idiolect.prompts.rendering import TEMPLATES, load
from idiolect.types import Block, Item, ItemId, Message, Prompt, Sample

NAME = "judge"
_MOST = 10
_NUMBER = re.compile(r"\s*(?:\*\*)?(\d+(?:\.\d+)?)")


def text_prompt(
    sample: Sample, item: Item, texts: tuple[str, str], *, task: str, templates: Path | None = None
) -> Prompt:
    """The judge's prompt for two texts in this order.

    Args:
        sample: What was to be written.
        item: Its item.
        texts: The two texts.
        task: What is written (``prompts.tasks``).
        templates: Folder of template folders, for your own wording; None: the shipped ones.
    """
    files = load("judge_text", templates or TEMPLATES, 0, task)
    shared = {"sample": sample, "item": item}
    system, head, tail = (Block(files.segments(part, shared)) for part in ("system", "head", "tail"))
    shown = [Block(files.segments("entry", {"number": k, "text": text})) for k, text in enumerate(texts, start=1)]
    sources = () if sample.target is None else (sample.target,)
    return Prompt((Message("system", (system,)), Message("user", (head, *shown, tail))), sources=sources)


def read_score(text: str) -> float:
    """The score of an answer, 0 to 1: its leading number; NaN if there is none from 0 to 10.

    Example:
        >>> read_score("7.5, because both like it"), read_score("**8**"), read_score("close"), read_score("85")
        (0.75, 0.8, nan, nan)
    """
    found = _NUMBER.match(text)
    value = float(found[1]) if found else np.nan
    return value / _MOST if value <= _MOST else np.nan


class TextJudge:
    """Scores texts for ``evaluation.calibration``: a ``metrics.verification.Verifier``.

    Args:
        who: The model that judges.
        items: Items of the samples, as far as known.
        model: Its name, for the record.
        task: What is written.
        templates: See ``text_prompt``.
    """

    measure: Mean = MeanOfKnown(NAME, greater_is_better=True, unit="0-1, both orders")
    english_only: bool = False

    def __init__(
        self, who: Judge, items: Mapping[ItemId, Item], *, model: str, task: str, templates: Path | None = None
    ) -> None:
        self.model = model
        self._who, self._items, self._task, self._templates = who, items, task, templates
        self.usage = Usage()
        """Of all calls so far."""
        self.unknown = 0
        """Texts without a readable answer in both orders."""

    def scores(
        self, runs: Mapping[str, Sequence[str]], samples: Sequence[Sample], past: Mapping[str, Sequence[str]]
    ) -> dict[str, np.ndarray]:
        """See ``Verifier.scores``.

        Returns:
            By condition, float64 (n, 2): the score and 1, or 0 and 0 if it is unknown. An empty text scores 0 without a
            call.
        """
        asked = [
            (name, place, order)
            for name, texts in runs.items()
            for place, text in enumerate(texts)
            if text.strip()
            for order in (0, 1)
        ]
        prompts = [self._prompt(samples[place], runs[name][place], order) for name, place, order in asked]
        answers = self._who.ask(prompts) if prompts else []
        self.usage = Usage.total([self.usage, *(answer.usage for answer in answers)])
        found = {name: np.zeros((len(samples), 2)) for name in runs}  # one column per order
        for (name, place, order), answer in zip(asked, answers, strict=True):
            found[name][place, order] = np.nan if answer.failure else read_score(answer.text)
        return {name: self._known(scores) for name, scores in found.items()}

    def _prompt(self, sample: Sample, text: str, order: int) -> Prompt:
        pair = (sample.reference or "", text)
        item = self._items.get(sample.item, Item(id=sample.item))
        texts = pair if order == 0 else (pair[1], pair[0])
        return text_prompt(sample, item, texts, task=self._task, templates=self._templates)

    def _known(self, scores: np.ndarray) -> np.ndarray:
        known = np.isfinite(scores).all(axis=1)
        self.unknown += int((~known).sum())
        return np.stack([np.where(known, scores.mean(axis=1), 0.0), known.astype(np.float64)], axis=1)
