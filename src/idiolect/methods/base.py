"""What a method is, what it declares that it needs, what it is built from, and the registry of methods.

Nothing outside this package names a method: what a run loads, which controls it adds and what it refuses follow from
``Method.requires``. A class named as ``module:Class`` and an entry point of the group ``idiolect.methods`` are built as
the methods of this package are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

from idiolect.context import Context
from idiolect.difference.claims.stylometric import Norms
from idiolect.encoders import Encoder
from idiolect.errors import ConfigError
from idiolect.llm.base import LLM, SamplingParams, remarks
from idiolect.methods.stages import Cases, Dimensions, Role, Roles
from idiolect.prompts.rendering import PromptConfig
from idiolect.registry import Registry
from idiolect.store.base import KnownUsers
from idiolect.types import Prediction, Prompt, Sample

if TYPE_CHECKING:
    import numpy as np

    from idiolect.methods.comparing import StageConfig

UNPERSONALIZED = "nonpersonalized"
"""The method that reads nothing of the user: every other one is compared with it."""
BASELINE = "rag"
"""The method that tests and tables compare with, and what ``write`` uses without an adapter."""
BASELINES = (UNPERSONALIZED, BASELINE)
"""Part of every evaluation."""
ADAPTER_METHOD = "dep"
"""The method whose adapter ``fit`` trains; used wherever there is an adapter."""
DEFAULT_METHODS = ("pag", "dpl", "drp")
"""Evaluated with the baselines if the settings say nothing else."""

RoleName = Literal["extractor", "validator", "summarizer", "generator"]
"""A role, as ``DifferenceConfig`` calls it."""
Control = Literal["wrong user", "another user's vectors", "no adapter"]
"""A negative control that needs no training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a method needs, declared once as its class attribute ``requires``.

    Example:
        >>> Requirements(vectors=True, roles=frozenset({"summarizer"})).adapter
        False
    """

    history: bool = True
    """Past reviews of the user; without, it also writes for a user who has none."""
    vectors: bool = False
    """Contexts with ``e_his`` and ``e_diff``, and the encoder that made them."""
    past_vectors: int = 0
    """Vectors of the user's latest past reviews beside the entries, so many at most (``Context.past``)."""
    peers: bool = False
    """Comparisons with what other users wrote about the same items."""
    adapter: bool = False
    """A fitted adapter, and its trained controls."""
    roles: frozenset[RoleName] = frozenset()
    """Roles that may be played by models of their own. With ``generator``, ``Roles.write`` writes."""
    llm: frozenset[str] = frozenset()
    """What the language model must support, for instance ``soft``."""
    controls: tuple[Control, ...] = ("wrong user",)
    """Negative controls, in the order of the table."""


class SoftPromptAdapter(Protocol):
    """What a method asks of an adapter."""

    def soft_prompt_embeddings(self, vectors: np.ndarray, stream: np.ndarray, entry: np.ndarray) -> np.ndarray:
        """Rows (n, hidden) for vectors (n, dim) of streams (n,) at history entries (n,)."""
        ...


class Contexts(Protocol):
    """Where a method's contexts come from: a builder over a store or snapshot, or a control that alters them."""

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """One context a sample, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a method is built from. What ``requires`` does not name may be None."""

    llm: LLM
    """The run's language model."""
    contexts: Contexts
    """Past reviews of each sample's user, best first; in a control, another user's."""
    roles: Roles
    """Models of the roles that are required; None for a role without a model."""
    params: SamplingParams
    """How tokens are drawn."""
    prompt: PromptConfig
    """How prompts are rendered; with an adapter, for the streams that it has weights for."""
    reader: KnownUsers | None = None
    """What is visible: a phase's snapshot or the live store. Not exchanged in controls."""
    encoder: Encoder | None = None
    """The text encoder whose vectors are stored."""
    comparisons: Cases | None = None
    """Anchors with representatives of the peers, if ``requires.peers``."""
    adapter: SoftPromptAdapter | None = None
    """The fitted adapter, if ``requires.adapter``."""
    stages: StageConfig | None = None
    """How differences are found; None: the defaults."""
    dimensions: Dimensions | None = None
    """What differences are along; None: the method's own choice."""
    norms: Callable[[], Norms | None] = lambda: None
    """Computes how a random sample of users writes."""
    seed: int = 0
    """Of everything that is drawn."""
    name: str | None = None
    """For tables; None: the method's own."""


class Method(Protocol):
    """Writes samples as their users would."""

    @property
    def name(self) -> str:
        """For records and tables."""
        ...

    @property
    def requires(self) -> Requirements:
        """What the method needs; the language model is checked when the method is built."""
        ...

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """The final prompt of every sample, soft vectors in place."""
        ...

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One prediction a sample, in order."""
        ...


class MethodClass(Protocol):
    """What the registry holds and a setting names."""

    requires: ClassVar[Requirements]

    @classmethod
    def build(cls, resources: Resources) -> Method:
        """The method, ready to write."""
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
            failure=answer.failure,
            prompt=shown(prompt, frozenset(answer.kept_entries)),
            stages=(answer.result("write"),),
            anchors=tuple(context.entries[entry].review.id for entry in answer.kept_entries),
            prompt_tokens=answer.usage.prompt_tokens,
            completion_tokens=answer.usage.completion_tokens,
            seconds=answer.usage.seconds,
            usage={"write": answer.usage},
            notes=(*remarks({"write": answer.usage}), *filter(None, [answer.markup])),
        )
        for sample, context, prompt, answer in zip(samples, contexts, prompts, answers, strict=True)
    ]


def shown(prompt: Prompt, kept: frozenset[int]) -> str:
    """The prompt as it reached the model: without the entries that did not fit."""
    turns = [[b for b in message.blocks if b.entry is None or b.entry in kept] for message in prompt.messages]
    return "\n\n".join("".join(s for b in blocks for s in b.segments if isinstance(s, str)) for blocks in turns)


class PromptMethod(ABC):
    """A method that is one prompt: choose from the context, render, write with one call per sample.

    Args:
        llm: Writes.
        contexts: Bring the past reviews.
        params: How tokens are drawn.
        prompt: How the prompt is rendered.
    """

    name: str
    requires: Requirements = Requirements()

    def __init__(
        self, llm: LLM, contexts: Contexts, *, params: SamplingParams | None = None, prompt: PromptConfig | None = None
    ) -> None:
        check_support(self.name, self.requires.llm, llm)
        self.llm, self.contexts = llm, contexts
        self.params, self.prompt = params or SamplingParams(), prompt or PromptConfig()

    @classmethod
    def build(cls, resources: Resources) -> Self:
        """See ``MethodClass.build``."""
        method = cls(resources.llm, resources.contexts, params=resources.params, prompt=resources.prompt)
        method.name = resources.name or method.name
        return method

    @abstractmethod
    def render(self, context: Context) -> Prompt:
        """The prompt of one sample."""

    def choose(self, context: Context) -> Context:
        """What of the context is used; all of it unless overridden."""
        return context

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``."""
        return [self.render(self.choose(context)) for context in self.contexts.build(samples)]

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``."""
        contexts = [self.choose(context) for context in self.contexts.build(samples)]
        return write(self.name, self.llm, self.params, samples, contexts, [self.render(c) for c in contexts])


METHODS: Registry[MethodClass] = Registry(
    "method",
    {
        "nonpersonalized": "idiolect.methods.nonpersonalized:NonPersonalized",
        "rag": "idiolect.methods.rag:RAG",
        "pag": "idiolect.methods.pag:PAG",
        "dpl": "idiolect.methods.dpl:DPL",
        "drp": "idiolect.methods.drp:DRP",
        "dep": "idiolect.methods.dep:DEP",
    },
    group="idiolect.methods",
)
"""Every method. One of your own joins by an entry point of the group, by ``register``, or is named ``module:Class``."""


def method_class(name: str) -> MethodClass:
    """The class called ``name``.

    Raises:
        ConfigError: There is none, or it does not declare what it requires.
    """
    found: Any = METHODS.get(name)
    if not isinstance(getattr(found, "requires", None), Requirements) or not callable(getattr(found, "build", None)):
        raise ConfigError(
            f"{name!r} is no method: it has no requires or no build",
            hint="derive it from idiolect.methods.base.PromptMethod",
        )
    return found


def requirements(name: str) -> Requirements:
    """What the method called ``name`` needs.

    Raises:
        ConfigError: See ``method_class``.
    """
    return method_class(name).requires
