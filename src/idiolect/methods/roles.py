"""Who is asked: the roles of a method, each a language model with parameters of its own (DRP: E, V, S, G)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from idiolect.errors import InputError
from idiolect.llm.base import LLM, Completion, SamplingParams, Schema
from idiolect.llm.failure import Failure, one_line
from idiolect.llm.thinking import leftovers, part_completion
from idiolect.llm.usage import Usage
from idiolect.types import Prompt

_Complete = Callable[[Sequence[Prompt], SamplingParams, Schema | None], list[Completion]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a role answered in the end, and what all its attempts took."""

    text: str = ""
    """Without thinking; empty where there is a failure."""
    thinking: str = ""
    truncated: bool = False
    """Cut off at the token limit."""
    failure: Failure | None = None
    kept_entries: tuple[int, ...] = ()
    """Droppable blocks of the prompt that fitted the budget."""
    unreadable: bool = False
    """There is a text, and it could not be read as what was asked for: what it says is not known."""
    usage: Usage = field(default_factory=Usage)

    @property
    def unfinished(self) -> bool:
        """Whether there is no answer because the model was still thinking: more tokens may bring one."""
        return self.failure is not None and self.failure.kind == "unfinished_thinking"

    @property
    def markup(self) -> str:
        """A note on control markup that the text still holds; empty if there is none."""
        found = leftovers(self.text)
        return f"the text still holds control markup: {' '.join(found[:5])}" if found else ""

    @property
    def unheard(self) -> bool:
        """Whether nothing is known of what was asked: there is no answer, or none that could be read."""
        return self.unreadable or self.failure is not None

    def marked(self, *, unreadable: bool) -> Answer:
        """The answer with the word of whoever read it; a failure is none that could be read, and stays a failure."""
        if not unreadable or self.unreadable or self.failure is not None:
            return self
        return replace(self, unreadable=True, usage=replace(self.usage, unreadable=1))

    @property
    def shown(self) -> str:
        """The text, or why there is none: for traces."""
        return self.text if self.failure is None else f"failed: {self.failure}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A language model, how it is sampled, and how its thinking is dealt with.

    Thinking that does not end is a failed answer and never read as one: it is asked for again with twice the tokens, up
    to a limit.
    """

    llm: LLM
    params: SamplingParams = field(default_factory=SamplingParams)
    thinks: bool = False
    """The model thinks before every answer, so a reply without a closing tag is unfinished thinking. Only for a model
    that does not know it itself (``backbone.thinks``, ``endpoint.thinks``)."""
    thinking_limit: int = 16_384
    """Most new tokens that are allowed for thinking that did not end."""

    def ask(self, prompts: Sequence[Prompt], *, schema: Schema | None = None, replicate: int = 0) -> list[Answer]:
        """One answer a prompt, in order; equal prompts are asked once, and only the first of them pays.

        Args:
            prompts: Without soft vectors.
            schema: What answers must conform to, where the model can be held to it.
            replicate: Which independent draw of the same questions it is.
        """
        places = {prompt.messages: place for place, prompt in reversed(list(enumerate(prompts)))}
        asked = sorted(places.values())
        found = self._rounds([prompts[k] for k in asked], self._complete, schema=schema, replicate=replicate)
        answers = dict(zip(asked, found, strict=True))
        firsts = [places[prompt.messages] for prompt in prompts]
        return [answers[first] if first == place else _repeated(answers[first]) for place, first in enumerate(firsts)]

    def each(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """One answer a prompt, in order, every prompt asked on its own account; soft vectors are taken too.

        Raises:
            InputError: No budget holds one of the prompts.
        """
        return self._rounds(prompts, lambda some, params, _: self.llm.generate(some, params))

    def _rounds(
        self, prompts: Sequence[Prompt], complete: _Complete, *, schema: Schema | None = None, replicate: int = 0
    ) -> list[Answer]:
        """Ask, and ask again with twice the tokens where thinking did not end."""
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
        """Whether the model can be held to a JSON schema."""
        return "schema" in self.llm.supports

    def _complete(self, prompts: Sequence[Prompt], params: SamplingParams, schema: Schema | None) -> list[Completion]:
        """The completions; a prompt that no budget holds fails alone, not with the batch."""
        try:
            return self.llm.generate(prompts, params, schema=schema)
        except InputError as error:
            if len(prompts) == 1:
                failure = Failure(kind="context_too_long", message=one_line(str(error)))
                return [Completion(text="", prompt_tokens=0, completion_tokens=0, failure=failure, requests=0)]
            return [self._complete([prompt], params, schema)[0] for prompt in prompts]

    def _after(self, before: Answer, completion: Completion) -> Answer:
        """The answer that a completion gives, with what earlier attempts thought and took."""
        parted = part_completion(completion, always=self.thinks)  # a backend may leave the parting to us
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
    """Who does what in a method. A role without a model is played by rules that need none.

    Without E, differences are measured (stylometry); without V, only the checks that cost no call are made; without S,
    a template puts what was found into a sentence. Only G must be a language model.
    """

    extract: Role | None = None
    validate: Role | None = None
    summarize: Role | None = None
    write: Role

    @classmethod
    def alike(cls, llm: LLM, params: SamplingParams | None = None) -> Roles:
        """One language model in all four roles."""
        role = Role(llm=llm, params=params or SamplingParams())
        return cls(extract=role, validate=role, summarize=role, write=role)

    @classmethod
    def writing(cls, llm: LLM, params: SamplingParams | None = None) -> Roles:
        """A language model that only writes, and no model for anything else."""
        return cls(write=Role(llm=llm, params=params or SamplingParams()))


def _repeated(answer: Answer) -> Answer:
    """The answer to a question that another prompt has paid for."""
    return replace(answer, usage=replace(answer.usage, cached=answer.usage.calls, spent=0.0))
