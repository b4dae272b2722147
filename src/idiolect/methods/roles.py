"""Roles of a method: the models that extract, validate, summarize and generate (DRP: E, V, S and G).

A role asks one question per prompt and returns one ``Answer`` per prompt. Thinking that does not end is asked for again
with twice the tokens; a prompt that fits no budget fails alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from idiolect.errors import InputError
from idiolect.llm.base import LLM, Completion, Failure, SamplingParams, Schema, Usage, one_line
from idiolect.llm.thinking import leftovers, part_completion
from idiolect.types import Prompt, ReviewId, StageResult


class About(NamedTuple):
    """What a question is about; without a review, it is about the user."""

    review: ReviewId | None = None
    peer: ReviewId | None = None
    """The representative in a pairwise question."""
    replicate: int = 0


_Complete = Callable[[Sequence[Prompt], SamplingParams, Schema | None], list[Completion]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A role's final answer, and the usage of all attempts."""

    text: str = ""
    """Without thinking; empty if there is a failure."""
    thinking: str = ""
    truncated: bool = False
    """Cut off at the token limit."""
    failure: Failure | None = None
    kept_entries: tuple[int, ...] = ()
    """Droppable blocks of the prompt that fitted the budget."""
    unreadable: bool = False
    """The text could not be parsed, so that what it says is not known."""
    usage: Usage = field(default_factory=Usage)

    @property
    def unfinished(self) -> bool:
        """Whether the model was still thinking at the token limit: more tokens may give an answer."""
        return self.failure is not None and self.failure.kind == "unfinished_thinking"

    @property
    def markup(self) -> str:
        """A note on control markup that the text still holds; empty if there is none."""
        found = leftovers(self.text)
        return f"the text still holds control markup: {' '.join(found[:5])}" if found else ""

    @property
    def unanswered(self) -> bool:
        """Whether there is no readable answer."""
        return self.unreadable or self.failure is not None

    def marked(self, *, unreadable: bool) -> Answer:
        """The answer, marked as unreadable if it is; a failure stays a failure."""
        if not unreadable or self.unreadable or self.failure is not None:
            return self
        return replace(self, unreadable=True, usage=replace(self.usage, unreadable=1))

    def result(self, stage: str, about: About | None = None) -> StageResult:
        """The answer as a prediction records it."""
        about = about or About()
        return StageResult(
            name=stage,
            review=about.review,
            peer=about.peer,
            replicate=about.replicate,
            text=self.text,
            thinking=self.thinking,
            failure=self.failure,
            unreadable=self.unreadable,
            notes=tuple(filter(None, [self.markup])),
        )


THINKING_LIMIT = 16_384
"""Most new tokens of a question that is repeated because its thinking did not end: reasoning models in use think in
fewer, and one that does not end by then goes in circles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A language model, its sampling parameters, and how its thinking is handled.

    Unfinished thinking is a failure and never read as an answer. The question is repeated with twice the tokens, up to
    a limit.
    """

    llm: LLM
    params: SamplingParams = field(default_factory=SamplingParams)
    thinking_limit: int = THINKING_LIMIT
    """Most new tokens of a repeated question."""

    def ask(self, prompts: Sequence[Prompt], *, schema: Schema | None = None, replicate: int = 0) -> list[Answer]:
        """One answer per prompt, in order. Equal prompts are one request, whose cost counts for the first of them.

        Args:
            prompts: Prompts without soft vectors.
            schema: JSON schema of the answers; ignored if the model cannot enforce one.
            replicate: Index of the independent draw of the same questions.
        """
        places = {prompt.messages: place for place, prompt in reversed(list(enumerate(prompts)))}
        asked = sorted(places.values())
        found = self._rounds([prompts[k] for k in asked], self._complete, schema=schema, replicate=replicate)
        answers = dict(zip(asked, found, strict=True))
        firsts = [places[prompt.messages] for prompt in prompts]
        return [answers[first] if first == place else _repeated(answers[first]) for place, first in enumerate(firsts)]

    def each(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """One answer per prompt, in order, one request each; prompts may have soft vectors.

        Raises:
            InputError: No budget holds one of the prompts.
        """
        return self._rounds(prompts, lambda some, params, _: self.llm.generate(some, params))

    def _rounds(
        self, prompts: Sequence[Prompt], complete: _Complete, *, schema: Schema | None = None, replicate: int = 0
    ) -> list[Answer]:
        """Ask, then repeat questions with unfinished thinking with twice the tokens."""
        schema = schema if self.structured else None
        answers = [Answer()] * len(prompts)
        params, pending = self.params.replicate(replicate), list(range(len(prompts)))
        while pending:
            completions = complete([prompts[k] for k in pending], params, schema)
            for place, completion in zip(pending, completions, strict=True):
                answers[place] = self._after(answers[place], completion)
            pending = [place for place in pending if answers[place].unfinished]
            if params.max_new_tokens >= self.thinking_limit:
                break
            doubled = min(2 * params.max_new_tokens, self.thinking_limit)
            params = params.model_copy(update={"max_new_tokens": doubled})
        return answers

    @property
    def structured(self) -> bool:
        """Whether the model can enforce a JSON schema."""
        return "schema" in self.llm.supports

    def _complete(self, prompts: Sequence[Prompt], params: SamplingParams, schema: Schema | None) -> list[Completion]:
        """The completions; a prompt that fits no budget fails alone, not with its batch."""
        try:
            return self.llm.generate(prompts, params, schema=schema)
        except InputError as error:
            if len(prompts) == 1:
                failure = Failure(kind="context_too_long", message=one_line(str(error)))
                return [Completion(text="", prompt_tokens=0, completion_tokens=0, failure=failure, requests=0)]
            return [self._complete([prompt], params, schema)[0] for prompt in prompts]

    def _after(self, before: Answer, completion: Completion) -> Answer:
        """The answer in a completion, with the thinking and usage of earlier attempts."""
        parted = part_completion(completion)  # a backend may return thinking and answer unseparated
        return Answer(
            text=parted.text if parted.failure is None else "",
            thinking=parted.thinking or before.thinking,
            truncated=parted.truncated,
            failure=parted.failure,
            kept_entries=parted.kept_entries,
            usage=before.usage + Usage.of([parted]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The models of a method's stages. Only the generator must be a language model.

    Without an extractor differences are measured (stylometry), without a validator only the checks without a model are
    made, without a summarizer a template writes the profile.
    """

    extractor: Role | None = None
    validator: Role | None = None
    summarizer: Role | None = None
    generator: Role

    @classmethod
    def shared(cls, llm: LLM, params: SamplingParams | None = None) -> Roles:
        """One language model in all four roles."""
        role = Role(llm=llm, params=params or SamplingParams())
        return cls(extractor=role, validator=role, summarizer=role, generator=role)

    @classmethod
    def writing(cls, llm: LLM, params: SamplingParams | None = None) -> Roles:
        """A language model that generates, and none for the other roles."""
        return cls(generator=Role(llm=llm, params=params or SamplingParams()))


def _repeated(answer: Answer) -> Answer:
    """The answer of a prompt that equals an earlier one: cached, at no cost."""
    return replace(answer, usage=replace(answer.usage, cached=answer.usage.calls, spent=0.0))
