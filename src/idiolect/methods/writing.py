"""G: the review itself, from past reviews and the profile (DRP, y), and what all the stages took."""

from __future__ import annotations

import re
from collections.abc import Sequence

from idiolect.llm.usage import Usage, remarks
from idiolect.methods.base import noted, shown
from idiolect.methods.portrait import Portrait
from idiolect.methods.roles import Answer, Role
from idiolect.prompts.render import PromptConfig, render
from idiolect.types import Prediction, Prompt, Rung

_PREFIX = re.compile(r"[\s*_#]*\[review\][*_]*\s*:[*_]*\s*", re.IGNORECASE)


def final_prompts(template: str, portraits: Sequence[Portrait], config: PromptConfig) -> list[Prompt]:
    """What G is asked for every sample."""
    return [
        render(template, portrait.context, config, sources=portrait.sources, profile=portrait.profile)
        for portrait in portraits
    ]


def write_profiled(name: str, role: Role, portraits: Sequence[Portrait], prompts: Sequence[Prompt]) -> list[Prediction]:
    """One review a sample; where G gives no answer the text is empty and the reason is among the stages."""
    answers = role.ask(prompts)
    return [_prediction(name, *one) for one in zip(portraits, prompts, answers, strict=True)]


def _rungs(portrait: Portrait) -> dict[Rung, int]:
    """How many comparisons there were; where a method found nobody to compare with, how many past reviews it had."""
    if portrait.cases:
        return {"item": len(portrait.cases)}
    return {"none": len(portrait.context.entries)} if portrait.compares and portrait.context.entries else {}


def _prediction(name: str, portrait: Portrait, prompt: Prompt, answer: Answer) -> Prediction:
    told = portrait.heard("write", [("", answer)])
    total = sum(told.usage.values(), Usage())
    seen = shown(prompt, frozenset(answer.kept_entries))
    stages = {**told.stages, "profile": portrait.profile, "prompt": seen, **noted(answer)}
    return Prediction(
        sample=portrait.context.sample,
        method=name,
        text=_PREFIX.sub("", answer.text, count=1) if _PREFIX.match(answer.text) else answer.text,
        stages=stages,
        anchors=tuple(portrait.context.entries[entry].review.id for entry in answer.kept_entries),
        rungs=_rungs(portrait),
        prompt_tokens=total.prompt_tokens,
        completion_tokens=total.completion_tokens,
        seconds=total.seconds,
        usage=told.usage,
        notes=(*remarks(told.usage), *filter(None, [answer.markup])),
        features=portrait.features,
    )
