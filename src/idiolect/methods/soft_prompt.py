"""Methods whose prompts have virtual tokens that a fitted adapter fills."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from idiolect.context import Context
from idiolect.encoders import Encoder
from idiolect.errors import ArtifactError, ConfigError
from idiolect.llm.base import LLM, SamplingParams
from idiolect.methods.base import Contexts, Requirements, Resources, check_support, write
from idiolect.prompts.rendering import PromptConfig, with_soft
from idiolect.types import Prediction, Prompt, Sample, VirtualToken

_FITTED = "use an adapter with the encoder, the backbone and the settings that it was fitted with"


class SoftPromptMethod(ABC):
    """Render a prompt with virtual tokens, compute their embeddings, write with one call per sample.

    Training uses the same ``choose``, ``render`` and ``inputs``, so that an adapter sees in use what it was fitted on.

    Args:
        llm: The generator; must support soft prompts.
        contexts: Source of the past reviews and their vectors.
        adapter: Turns inputs into embeddings.
        params: Sampling of tokens.
        prompt: Rendering of the prompt; its streams must be the adapter's.
        encoder: The text encoder whose vectors the contexts hold; None if ``inputs`` encodes nothing.
        name: Name in tables; None: the method's own.
    """

    name: str
    requires: Requirements

    def __init__(
        self,
        llm: LLM,
        contexts: Contexts,
        adapter: Any,
        *,
        params: SamplingParams | None = None,
        prompt: PromptConfig | None = None,
        encoder: Encoder | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name or type(self).name
        check_support(self.name, self.requires.llm, llm)
        self.llm, self.contexts, self.adapter, self.encoder = llm, contexts, adapter, encoder
        self.params, self.prompt = params or SamplingParams(), prompt or PromptConfig()

    @classmethod
    def build(cls, resources: Resources) -> Self:
        """See ``MethodClass.build``.

        Raises:
            ConfigError: There is no adapter.
        """
        if resources.adapter is None:
            raise ConfigError(f"{cls.name} needs an adapter", hint="pass adapter=FOLDER, or another method=")
        return cls(
            resources.llm,
            resources.contexts,
            resources.adapter,
            params=resources.params,
            prompt=resources.prompt,
            encoder=resources.encoder,
            name=resources.name,
        )

    def choose(self, context: Context) -> Context:
        """The part of the context that is used; all of it unless overridden."""
        return context

    @abstractmethod
    def render(self, context: Context) -> Prompt:
        """The prompt of one sample, with its virtual tokens."""

    @abstractmethod
    def inputs(self, contexts: Sequence[Context], tokens: Sequence[Sequence[VirtualToken]]) -> list[Any]:
        """What the adapter reads for each sample.

        Args:
            contexts: From ``choose``.
            tokens: The virtual tokens of each prompt, in the order of the text.
        """

    def embed(self, inputs: Sequence[Any]) -> list[np.ndarray]:
        """Float (s, hidden) per sample, one row per virtual token; ``ValueError`` if the adapter does not fit."""
        return self.adapter.embeddings(inputs)

    def finish(self, prediction: Prediction, context: Context) -> Prediction:
        """The prediction with what only the method knows of it."""
        return prediction

    def prompts(self, samples: Sequence[Sample]) -> list[Prompt]:
        """See ``Method.prompts``."""
        return self._inject([self.choose(context) for context in self.contexts.build(samples)])

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """See ``Method.generate``.

        Raises:
            ArtifactError: The adapter has no weights for these vectors, or returns embeddings that are not finite.
        """
        contexts = [self.choose(context) for context in self.contexts.build(samples)]
        written = write(self.name, self.llm, self.params, samples, contexts, self._inject(contexts))
        return [self.finish(*one) for one in zip(written, contexts, strict=True)]

    def _inject(self, contexts: Sequence[Context]) -> list[Prompt]:
        """Prompts with their virtual tokens filled; all embeddings are computed in one pass (Eq. 7 of DEP)."""
        prompts = [self.render(context) for context in contexts]
        tokens = [prompt.virtual_tokens for prompt in prompts]
        if not any(tokens):
            return prompts
        inputs = self.inputs(contexts, tokens)
        try:
            found = self.embed(inputs)
        except ValueError as error:
            raise ArtifactError(f"the adapter does not fit: {error}", hint=_FITTED) from error
        if not all(np.isfinite(rows).all() for rows in found):
            raise ArtifactError("the adapter gives soft prompt embeddings that are not finite", hint=_FITTED)
        return [
            with_soft(prompt, rows) if own else prompt for prompt, own, rows in zip(prompts, tokens, found, strict=True)
        ]
