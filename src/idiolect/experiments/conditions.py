"""The rows of a result table: methods and their controls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from idiolect.errors import ConfigError
from idiolect.evaluation.claims import NO_ADAPTER, OTHER_VECTORS, WRONG_USER, control_name
from idiolect.experiments.adapters import check_adapter
from idiolect.experiments.controls import Named, NoAdapter, OtherVectors, WrongUser
from idiolect.experiments.data import Data
from idiolect.experiments.differences import Models, make_difference_methods
from idiolect.experiments.profiled import Once, Profiled, WrongUsers
from idiolect.experiments.roles import DIFFERENCE_METHODS
from idiolect.experiments.variants import TRAINED_CONTROLS
from idiolect.llm.base import LLM, SamplingParams
from idiolect.llm.cached import CachedLLM
from idiolect.methods.base import Contexts, Method, check_support
from idiolect.methods.dep import DEP
from idiolect.methods.nonpersonalized import NonPersonalized
from idiolect.methods.rag import RAG
from idiolect.methods.table import METHODS
from idiolect.prompts.files import digest
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


def conditions(data: Data, models: Models, adapter_folder: Path | None) -> list[Condition]:
    """Non-Perso, RAG and the language methods, with an adapter also DEP, and everybody's controls.

    Args:
        data: Store, split and settings.
        models: The run's own writes; the settings may give roles to others.
        adapter_folder: Of DEP, with the trained controls that were fitted beside it; None: no DEP.

    Raises:
        ConfigError: A method needs what the backbone cannot do.
        NotFoundError: There is no adapter in the folder, or no such model.
        ArtifactError: The adapter was fitted with another encoder, backbone or split.
    """
    llm = models.own
    if adapter_folder is not None:
        check_support("dep", DEP.needs, llm)
        words = digest(data.settings.prompt.templates)
        fits = {"templates": words, "store": data.fingerprint, "split": data.members}
        check_adapter(adapter_folder, encoder=data.encoder, backbone=llm.name, **fits)
    found = [*_plain(data, llm), *_profiled(data, models), *_own(data, llm)]
    _check_names([condition.name for condition in found])
    return found if adapter_folder is None else [*found, *_soft(data, llm, adapter_folder)]


def _plain(data: Data, llm: LLM) -> Iterator[Condition]:
    contexts, params, prompt = data.contexts(data.evaluated), data.settings.sampling, data.settings.prompt
    stranger = RAG(llm, WrongUser(contexts, seed=data.settings.seed), params=params, prompt=prompt)
    yield Condition(method=NonPersonalized(llm, contexts, params=params, prompt=prompt))
    yield Condition(method=RAG(llm, contexts, params=params, prompt=prompt))
    yield Condition(method=Named(stranger, control_name("rag", WRONG_USER)), control=True)


def _profiled(data: Data, models: Models) -> Iterator[Condition]:
    """The language methods that the settings name, each with its control."""
    settings, contexts, reader = data.settings, data.contexts(data.evaluated), data.snapshot(data.evaluated)
    made = make_difference_methods(
        [name for name in settings.methods if name in DIFFERENCE_METHODS],
        settings.differences,
        models,
        contexts,
        reader,
        data.text_encoder,
        prompt=settings.prompt,
        seed=settings.seed,
    )
    for method in made:
        own = Once(method.portraits)
        wrong = WrongUsers(own, seed=settings.seed)
        yield Condition(method=Profiled(method=method, portraits=own, name=method.name))
        stranger = Profiled(method=method, portraits=wrong, name=control_name(method.name, WRONG_USER))
        yield Condition(method=stranger, control=True)


def _own(data: Data, llm: LLM) -> Iterator[Condition]:
    """Methods of the user's own making, each with its control."""
    contexts, shown = data.contexts(data.evaluated), {"params": data.settings.sampling, "prompt": data.settings.prompt}
    for name in data.settings.methods:
        if name in DIFFERENCE_METHODS:
            continue
        make = METHODS.get(name)
        method = make(llm, contexts, **shown)
        check_support(method.name, method.needs, llm)
        yield Condition(method=method)
        stranger = make(llm, WrongUser(contexts, seed=data.settings.seed), **shown)
        yield Condition(method=Named(stranger, control_name(method.name, WRONG_USER)), control=True)


def _check_names(names: Sequence[str]) -> None:
    """Refuse a method of one's own that a table could not tell from another's rows."""
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two methods are called {name!r}", hint="give yours a name of its own")


def _soft(data: Data, llm: LLM, folder: Path) -> Iterator[Condition]:
    """DEP and its controls."""
    contexts, params, prompt = data.contexts(data.evaluated), data.settings.sampling, data.settings.prompt
    yield Condition(method=make_dep(folder, llm, contexts, params=params, prompt=prompt))
    for control in _controls(data, llm, folder):
        yield Condition(method=control, control=True)


def _controls(data: Data, llm: LLM, folder: Path) -> Iterator[Method]:
    """DEP's: what else was trained, what it is fed wrongly, and what its prompt is worth without it."""
    contexts, params, prompt = data.contexts(data.evaluated), data.settings.sampling, data.settings.prompt

    def dep(where: Path, source: Contexts, label: str) -> Method:
        return make_dep(where, llm, source, params=params, prompt=prompt, name=control_name("dep", label))

    # Torch comes with it, and what needs no adapter does without.
    from idiolect.softprompt.artifact import WEIGHTS

    for name, control in TRAINED_CONTROLS.items():
        if (folder / name / WEIGHTS).is_file():
            yield dep(folder / name, data.contexts(data.evaluated, vectors=control.vectors), control.label)
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
