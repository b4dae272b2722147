"""The method protocol, its declared requirements, the resources it is built from, and the registry of methods.

No other package names a method: what a run loads, which controls it adds and what it refuses follow from
``Method.requires``. A class given as ``module:Class`` and an entry point of the group ``idiolect.methods`` are built
like the methods of this package.
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
from idiolect.methods.corrections import Corrections
from idiolect.methods.peer_comparison import Dimensions, PeerComparisons
from idiolect.methods.roles import Role, Roles
from idiolect.prompts.rendering import PromptConfig
from idiolect.registry import Registry
from idiolect.store.base import KnownUsers
from idiolect.types import Prediction, Prompt, Sample, Stream

if TYPE_CHECKING:
    from idiolect.methods.comparing import StageConfig

UNPERSONALIZED = "nonpersonalized"
"""The method without the user's reviews; every other method is compared with it."""
BASELINE = "rag"
"""The baseline of tests and tables; ``write`` uses it without an adapter."""
BASELINES = (UNPERSONALIZED, BASELINE)
"""Part of every evaluation."""
ADAPTER_METHOD = "dep"
"""The method whose adapter ``fit`` trains; used wherever there is an adapter."""
DEFAULT_METHODS = ("pag", "dpl", "drp")
"""Evaluated with the baselines by default."""

RoleName = Literal["extractor", "validator", "summarizer", "generator"]
"""A role, as a field of ``DifferenceConfig``."""
Control = Literal["wrong user", "another user's vectors", "no adapter", "nearest twin", "item crowd", "oracle"]
"""A control that needs no training: ``methods.controls``, ``methods.chosen_controls``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFormat:
    """What a method's prompts look like, for documents that a backbone is pretrained on (``training.documents``).

    Example:
        >>> PromptFormat(template="rag", history="required").profile is None
        True
    """

    template: str
    """Template folder (``prompts.rendering``)."""
    history: Literal["optional", "never", "required"] = "optional"
    """Whether past reviews are shown."""
    profile: Literal["user", "text"] | None = None
    """Whether the template takes a ``profile`` in words: of the user, or (with ``words``) of the very text to write.
    Such a profile comes from annotations of the users."""
    textless: bool = False
    """May show virtual tokens without the text of past reviews, and in the grouped layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a method needs, declared once as its class attribute ``requires``.

    Example:
        >>> Requirements(vectors=True, roles=frozenset({"summarizer"})).adapter is None
        True
    """

    title: str = ""
    """Name for readers, for instance in the demo; empty: the method's name."""
    reads: str = ""
    """What it gets of the user, in a few words for readers."""
    about: str = ""
    """One plain sentence on what it does, for readers who are new to it; empty: ``reads`` says enough."""
    history: bool = True
    """Past reviews of the user. If False, the method also writes for a user who has none."""
    vectors: bool = False
    """Contexts with ``e_his`` and ``e_diff``, and their encoder."""
    past_vectors: int = 0
    """Most vectors of the user's latest past reviews, in addition to the entries' (``Context.past``)."""
    peers: bool = False
    """Comparisons with peers' reviews of the same items."""
    adapter: str | None = None
    """The kind of fitted adapter that it writes with, and that ``fit`` fits for it with its trained controls: a name in
    ``softprompt.config.ADAPTERS`` (``dep``, ``pplug``), or ``module:ConfigClass`` for one of your own."""
    roles: frozenset[RoleName] = frozenset()
    """Roles that may have models of their own. With ``generator``, ``Roles.generator`` writes."""
    measures: bool = False
    """Without a model in any analysis role it measures style instead: tables then call it ``(measured)``."""
    llm: frozenset[str] = frozenset()
    """Features that the language model must support, for instance ``soft``."""
    controls: tuple[Control, ...] = ("wrong user", "nearest twin", "item crowd")
    """Controls that make sense for it, in the order of the table; the last two, and ``oracle``, run only if the setting
    ``extra_controls`` asks for them."""
    format: PromptFormat | None = None
    """Its prompts in pretraining, which reads them by the method's name; None: no backbone is pretrained on them."""

    @property
    def analysis_roles(self) -> frozenset[RoleName]:
        """The roles other than the one that writes."""
        return self.roles - {"generator"}


class Contexts(Protocol):
    """Source of a method's contexts: a builder over a store or snapshot, or a control that alters them."""

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """One context per sample, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a method is built from. Resources that ``requires`` does not name may be None."""

    llm: LLM
    """The run's language model."""
    contexts: Contexts
    """Builds contexts: past reviews of each sample's user, best first; in a control, another user's."""
    roles: Roles
    """Models of the required roles; None for a role without a model."""
    params: SamplingParams
    """Sampling of tokens."""
    prompt: PromptConfig
    """Rendering of prompts; with an adapter, for the streams that it has weights for."""
    reader: KnownUsers | None = None
    """A phase's snapshot or the live store; the same in controls."""
    encoder: Encoder | None = None
    """The text encoder whose vectors are stored."""
    comparisons: PeerComparisons | None = None
    """Builds peer comparisons, if ``requires.peers``."""
    adapter: Any = None
    """The fitted adapter, of the kind that ``requires.adapter`` names; None if it names none."""
    stages: StageConfig | None = None
    """Settings of the stages; None: the defaults."""
    dimensions: Dimensions | None = None
    """Dimensions of comparison; None: the method's own."""
    corrections: Corrections | None = None
    """Looks up what users corrected or muted; None: there are no corrections."""
    norms: Callable[[], Norms | None] = lambda: None
    """Computes the average style of a random sample of users."""
    seed: int = 0
    """Seed of everything that is drawn."""
    name: str | None = None
    """Name in tables; None: the method's own."""


class Method(Protocol):
    """Writes samples as their users would."""

    @property
    def name(self) -> str:
        """Name in records and tables."""
        ...

    @property
    def requires(self) -> Requirements:
        """The method's requirements; the language model is checked when the method is built."""
        ...

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """The final prompt of every sample, soft vectors in place."""
        ...

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One prediction per sample, in order."""
        ...


class MethodClass(Protocol):
    """What the registry holds."""

    requires: ClassVar[Requirements]

    @classmethod
    def build(cls, resources: Resources) -> Method:
        """The method, ready to write."""
        ...


def check_support(method: str, needs: frozenset[str], llm: LLM) -> None:
    """Check that the language model supports what a method needs.

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
    """Generate one prediction per prompt, with the visible prompt and the usage."""
    answers = Role(llm=llm, params=params).each(prompts)
    seen = [
        visible_prompt(prompt, frozenset(answer.kept_entries)) for prompt, answer in zip(prompts, answers, strict=True)
    ]
    return [
        Prediction(
            sample=sample,
            method=name,
            text=answer.text,
            failure=answer.failure,
            prompt=text,
            virtual_tokens=tokens,
            stages=(answer.result("write"),),
            anchors=tuple(context.entries[entry].review.id for entry in answer.kept_entries),
            prompt_tokens=answer.usage.prompt_tokens,
            completion_tokens=answer.usage.completion_tokens,
            seconds=answer.usage.seconds,
            usage={"write": answer.usage},
            notes=(*remarks({"write": answer.usage}), *filter(None, [answer.markup])),
        )
        for sample, context, (text, tokens), answer in zip(samples, contexts, seen, answers, strict=True)
    ]


def visible_prompt(prompt: Prompt, kept: frozenset[int]) -> tuple[str, tuple[tuple[int, Stream], ...]]:
    """The prompt's text as the model received it, without the entries that did not fit, and where its soft prompts are.

    Returns:
        The text, with an empty line between turns, and for each virtual token the number of characters before it and
        its stream.
    """
    parts: list[str] = []
    tokens: list[tuple[int, Stream]] = []
    size = 0
    for number, message in enumerate(prompt.messages):
        shown = [s for block in message.blocks if block.entry is None or block.entry in kept for s in block.segments]
        for segment in ["\n\n", *shown] if number else shown:
            if isinstance(segment, str):
                parts.append(segment)
                size += len(segment)
            else:
                tokens.append((size, segment.stream))
    return "".join(parts), tuple(tokens)


class PromptMethod(ABC):
    """A method that is one prompt: choose from the context, render, generate with one call per sample.

    Args:
        llm: The generator.
        contexts: Source of the past reviews.
        params: Sampling of tokens.
        prompt: Rendering of the prompt.
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
        """The part of the context that is used; all of it unless overridden."""
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
        "pplug": "idiolect.methods.pplug:PPlug",
    },
    group="idiolect.methods",
)
"""All methods. Add your own by an entry point of the group or by ``register``, or name it as ``module:Class``."""


def method_class(name: str) -> MethodClass:
    """The class called ``name``.

    Raises:
        ConfigError: There is no such method, or it does not declare its requirements.
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
