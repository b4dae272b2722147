"""The rows of a result table: methods, and DEP's controls."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from idiolect.experiments.adapters import CONSTANT, check_adapter
from idiolect.experiments.controls import OtherVectors, WrongUser
from idiolect.experiments.data import Data
from idiolect.llm.base import SamplingParams
from idiolect.llm.transformers import TransformersLLM
from idiolect.methods.base import Contexts, Method
from idiolect.methods.dep import DEP
from idiolect.methods.nonpersonalized import NonPersonalized
from idiolect.methods.rag import RAG
from idiolect.prompts.render import PromptConfig
from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.artifact import WEIGHTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A method under one way of feeding it."""

    method: Method
    control: bool = False
    """Controls are compared with DEP, methods with RAG."""

    @property
    def name(self) -> str:
        """The method's, for tables and files."""
        return self.method.name


def conditions(data: Data, llm: TransformersLLM, adapter_folder: Path | None) -> list[Condition]:
    """Non-Perso and RAG; with an adapter also DEP, its controls and, where it was fitted, the constant soft prompt.

    Raises:
        ConfigError: A method needs what the backbone cannot do.
        NotFoundError: There is no adapter in the folder.
        ArtifactError: It was fitted with another encoder, backbone or split.
    """
    contexts, params, prompt = data.contexts("test"), data.settings.sampling, data.settings.prompt
    found = [
        Condition(method=NonPersonalized(llm, contexts, params=params, prompt=prompt)),
        Condition(method=RAG(llm, contexts, params=params, prompt=prompt)),
    ]
    if adapter_folder is None:
        return found
    check_adapter(adapter_folder, encoder=data.encoder, backbone=llm.name, store=data.fingerprint, split=data.members)

    def dep(folder: Path, source: Contexts, name: str) -> DEP:
        return make_dep(folder, llm, source, params=params, prompt=prompt, name=name)

    seed = data.settings.seed
    found.append(Condition(method=dep(adapter_folder, contexts, "dep")))
    if (adapter_folder / CONSTANT / WEIGHTS).is_file():
        found.append(Condition(method=dep(adapter_folder / CONSTANT, contexts, "dep: trained constant"), control=True))
    for name, source in [
        ("dep: another user's vectors", OtherVectors(contexts, seed=seed)),
        ("dep: wrong user", WrongUser(contexts, seed=seed)),
    ]:
        found.append(Condition(method=dep(adapter_folder, source, name), control=True))
    return found


def make_dep(
    folder: Path,
    llm: TransformersLLM,
    contexts: Contexts,
    *,
    params: SamplingParams,
    prompt: PromptConfig,
    name: str = "dep",
) -> DEP:
    """DEP with the adapter in ``folder``, its slots those that the adapter has weights for."""
    adapter = Adapter.from_pretrained(folder).to(llm.model.device)
    shown = prompt.model_copy(update={"streams": adapter.config.streams})
    return DEP(llm, contexts, adapter, params=params, prompt=shown, name=name)
