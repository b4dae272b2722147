"""The seam of methods, and the one way in which every method that makes one call a sample writes.

Methods by name: those that are made from a language model and contexts alone, as RAG is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from idiolect.context import Context
from idiolect.errors import ConfigError
from idiolect.llm.base import LLM, SamplingParams, remarks
from idiolect.methods.stages import Answer, Role
from idiolect.registry import Registry
from idiolect.types import Prediction, Prompt, Sample


class Contexts(Protocol):
    """Where a method's contexts come from: a builder over a store or snapshot, or a control that alters them."""

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """One context a sample, in order."""
        ...


class Method(Protocol):
    """Writes samples as their users would."""

    @property
    def name(self) -> str:
        """For records and tables."""
        ...

    @property
    def needs(self) -> frozenset[str]:
        """What the language model must support; checked when the method is built."""
        ...

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """The final prompt of every sample, soft vectors in place."""
        ...

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One prediction a sample, in order."""
        ...


def check_support(method: str, needs: frozenset[str], llm: LLM) -> None:
    """Refuse a language model that cannot do what a method needs, before anything is computed.

    Raises:
        ConfigError: Naming what is missing.
    """
    missing = sorted(needs - llm.supports)
    if missing:
        raise ConfigError(
            f"{method} needs {', '.join(missing)}, which {llm.name} does not support", hint="use another backend"
        )


def write(
    name: str,
    llm: LLM,
    params: SamplingParams,
    samples: Sequence[Sample],
    contexts: Sequence[Context],
    prompts: Sequence[Prompt],
) -> list[Prediction]:
    """One answer of the model for every sample, with what it saw and took; thinking is dealt with as by any role."""
    answers = Role(llm=llm, params=params).each(prompts)
    return [
        Prediction(
            sample=sample,
            method=name,
            text=answer.text,
            stages={"prompt": shown(prompt, frozenset(answer.kept_entries)), **noted(answer)},
            anchors=tuple(context.entries[entry].review.id for entry in answer.kept_entries),
            prompt_tokens=answer.usage.prompt_tokens,
            completion_tokens=answer.usage.completion_tokens,
            seconds=answer.usage.seconds,
            usage={"write": answer.usage},
            notes=(*remarks({"write": answer.usage}), *filter(None, [answer.markup])),
        )
        for sample, context, prompt, answer in zip(samples, contexts, prompts, answers, strict=True)
    ]


def noted(answer: Answer) -> dict[str, str]:
    """What a prediction says of its answer beside the text: why there is none, thoughts, markup that was left."""
    told = {
        "failure": "" if answer.failure is None else str(answer.failure),
        "write (thinking)": answer.thinking,
        "markup": answer.markup,
    }
    return {stage: text for stage, text in told.items() if text}


def shown(prompt: Prompt, kept: frozenset[int]) -> str:
    """The prompt as it reached the model: without the entries that did not fit."""
    turns = [[b for b in message.blocks if b.entry is None or b.entry in kept] for message in prompt.messages]
    return "\n\n".join("".join(s for b in blocks for s in b.segments if isinstance(s, str)) for blocks in turns)


METHODS: Registry[Callable[..., Method]] = Registry(
    "method",
    {
        "nonpersonalized": "idiolect.methods.nonpersonalized:NonPersonalized",
        "rag": "idiolect.methods.rag:RAG",
    },
)
"""Called as ``make(llm, contexts, params=SamplingParams, prompt=PromptConfig)``. A method of your own joins by
``register``, or is named ``"module:Class"``; its ``name`` is what tables call it."""
