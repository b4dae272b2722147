"""The rows of a result table: methods and their controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from idiolect.evaluation.claims import NO_ADAPTER, OTHER_VECTORS, WRONG_USER, control_name
from idiolect.experiments.adapters import check_adapter
from idiolect.experiments.controls import Named, NoAdapter, OtherVectors, WrongUser
from idiolect.experiments.data import Data
from idiolect.experiments.variants import TRAINED_CONTROLS
from idiolect.llm.base import LLM, SamplingParams
from idiolect.llm.cached import CachedLLM
from idiolect.methods.base import Contexts, Method, check_support
from idiolect.methods.dep import DEP
from idiolect.methods.nonpersonalized import NonPersonalized
from idiolect.methods.rag import RAG
from idiolect.prompts.render import PromptConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A method under one way of feeding it."""

    method: Method
    control: bool = False
    """Controls are compared with their method, methods with RAG."""

    @property
    def name(self) -> str:
        """The method's, for tables and files."""
        return self.method.name


def conditions(data: Data, llm: LLM, adapter_folder: Path | None) -> list[Condition]:
    """Non-Perso and RAG, with an adapter also DEP, and everybody's controls, the trained ones where they were fitted.

    Raises:
        ConfigError: A method needs what the backbone cannot do.
        NotFoundError: There is no adapter in the folder.
        ArtifactError: It was fitted with another encoder, backbone or split.
    """
    contexts, params, prompt = data.contexts("test"), data.settings.sampling, data.settings.prompt
    strangers = WrongUser(contexts, seed=data.settings.seed)
    stranger = RAG(llm, strangers, params=params, prompt=prompt)
    found = [
        Condition(method=NonPersonalized(llm, contexts, params=params, prompt=prompt)),
        Condition(method=RAG(llm, contexts, params=params, prompt=prompt)),
        Condition(method=Named(stranger, control_name("rag", WRONG_USER)), control=True),
    ]
    if adapter_folder is None:
        return found
    check_support("dep", DEP.needs, llm)
    check_adapter(adapter_folder, encoder=data.encoder, backbone=llm.name, store=data.fingerprint, split=data.members)
    own = Condition(method=make_dep(adapter_folder, llm, contexts, params=params, prompt=prompt))
    return [*found, own, *(Condition(method=one, control=True) for one in _controls(data, llm, adapter_folder))]


def _controls(data: Data, llm: LLM, folder: Path) -> Iterator[Method]:
    """DEP's: what else was trained, what it is fed wrongly, and what its prompt is worth without it."""
    contexts, params, prompt = data.contexts("test"), data.settings.sampling, data.settings.prompt

    def dep(where: Path, source: Contexts, label: str) -> Method:
        return make_dep(where, llm, source, params=params, prompt=prompt, name=control_name("dep", label))

    # Torch comes with it, and what needs no adapter does without.
    from idiolect.softprompt.artifact import WEIGHTS

    for name, control in TRAINED_CONTROLS.items():
        if (folder / name / WEIGHTS).is_file():
            yield dep(folder / name, data.contexts("test", vectors=control.vectors), control.label)
    yield dep(folder, OtherVectors(contexts, seed=data.settings.seed), OTHER_VECTORS)
    yield dep(folder, WrongUser(contexts, seed=data.settings.seed), WRONG_USER)
    if not prompt.with_text:  # with text it would be RAG's prompt
        yield NoAdapter(llm, contexts, params=params, prompt=prompt, name=control_name("dep", NO_ADAPTER))


def make_dep(
    folder: Path,
    llm: LLM,
    contexts: Contexts,
    *,
    params: SamplingParams,
    prompt: PromptConfig,
    name: str = "dep",
) -> DEP:
    """DEP with the adapter in ``folder``, its slots those that the adapter has weights for.

    Rows are computed where the model is, if it is in this process.
    """
    from idiolect.llm.transformers import TransformersLLM
    from idiolect.softprompt.adapter import Adapter

    adapter = Adapter.from_pretrained(folder)
    model = llm.llm if isinstance(llm, CachedLLM) else llm
    if isinstance(model, TransformersLLM):
        adapter = adapter.to(model.model.device)
    shown = prompt.model_copy(update={"streams": adapter.config.streams})
    return DEP(llm, contexts, adapter, params=params, prompt=shown, name=name)
