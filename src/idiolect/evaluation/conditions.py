"""The conditions of an evaluation: the baselines and methods with their adapters, and the controls of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from idiolect.errors import ConfigError
from idiolect.methods.base import BASELINES, Contexts, Control, Method, Requirements, check_support, requirements
from idiolect.methods.chosen_controls import (
    EXTRA_CONTROLS,
    ITEM_CROWD,
    NEAREST_TWIN,
    ItemCrowd,
    NearestTwin,
    NearestTwinCases,
    Oracle,
    Twins,
)
from idiolect.methods.controls import (
    NO_ADAPTER,
    OTHER_VECTORS,
    TRAINED_CONTROLS,
    WRONG_USER,
    Memoized,
    NoAdapter,
    OtherVectors,
    Profiled,
    ProfileMethod,
    ProfileStates,
    WrongUser,
    WrongUserCases,
    WrongUsers,
)
from idiolect.methods.peer_comparison import PeerComparisons
from idiolect.pipeline import results
from idiolect.pipeline.adapters import check_adapter
from idiolect.pipeline.data import Data
from idiolect.pipeline.models import MethodBuilder, Models
from idiolect.pipeline.settings import Settings
from idiolect.prompts.rendering import digest
from idiolect.types import ConditionId, Prediction, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A method, or one of its controls, that is run."""

    method: Method
    """With the inputs of the control, if it is one."""
    control: str | None = None
    """Which control; None for the method itself. Controls are compared with their method, methods with the baseline."""
    registered: str = ""
    """Name in the settings."""
    measured: bool = False
    """See ``ConditionId.measured``."""

    @property
    def id(self) -> ConditionId:
        """The key in tables and files."""
        return ConditionId(self.method.name, self.control, self.measured)

    def generate(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One prediction per sample, in order, that names method and control."""
        written = self.method.generate(samples)
        return [replace(prediction, method=self.id.method, control=self.control) for prediction in written]


def evaluated_methods(settings: Settings, adapter: Path | None) -> list[str]:
    """Names of the methods in the order of the table: baselines, those of the settings, those with an adapter.

    Raises:
        ConfigError: A method needs an adapter, and there is none.
    """
    wanted = (*BASELINES, settings.baseline, *settings.methods, *((settings.adapter_method,) if adapter else ()))
    names = list(dict.fromkeys(wanted))
    needing = [name for name in names if requirements(name).adapter]
    if needing and adapter is None:
        raise ConfigError(
            f"{needing[0]} is evaluated if there is an adapter",
            hint="pass adapter=FOLDER, or leave it out of the methods",
        )
    return [*(name for name in names if name not in needing), *needing]


def conditions(data: Data, models: Models, adapter_folder: Path | None) -> list[Condition]:
    """The baselines, the methods of the settings and, with an adapter, those that use it; each with its controls.

    Args:
        data: Store, split and settings.
        models: The run's own writes; the settings may give roles to others.
        adapter_folder: With the trained controls that were fitted with it; None: no method that needs one.

    Raises:
        ConfigError: A method needs what the backbone cannot do, or an adapter.
        NotFoundError: There is no adapter in the folder, or no such model.
        ArtifactError: The adapter was fitted with another encoder, backbone or split.
    """
    llm, names = models.own, evaluated_methods(data.settings, adapter_folder)
    for name in names:
        check_support(name, requirements(name).llm, llm)
    if adapter_folder is not None:
        words = digest(data.settings.prompt)
        fits = {"templates": words, "store": data.fingerprint, "split": data.members}
        check_adapter(adapter_folder, encoder=data.encoder, backbone=llm.name, **fits)
    builder = MethodBuilder(data.settings, models, data.snapshot(data.evaluated), data.text_encoder)
    twins = data.twins(data.evaluated)
    found = [
        replace(condition, registered=name, measured=_is_measured(requirements(name), data.settings))
        for name in names
        for condition in with_controls(data, builder, name, adapter_folder, twins)
    ]
    if not data.settings.negative_controls:
        found = [condition for condition in found if condition.control is None]
    _check_names([condition.id for condition in found])
    return found


def _is_measured(needs: Requirements, settings: Settings) -> bool:
    """Whether a method measures style because no model plays a role of its analysis."""
    return needs.measures and not needs.analysis_roles & settings.differences.roles.keys()


def with_controls(
    data: Data, builder: MethodBuilder, name: str, adapter: Path | None, twins: Twins
) -> Iterator[Condition]:
    """A method, its trained controls, and the controls that it declares."""
    contexts, seed = data.contexts(data.evaluated, past=requirements(name).past_vectors), data.settings.seed
    method = builder.build(name, contexts, adapter=adapter)
    needs = method.requires
    own = Memoized(method.states) if isinstance(method, ProfileMethod) else None
    yield Condition(method=_profiled(method, own) if own else method)
    if needs.adapter and adapter is not None:
        yield from _trained(data, builder, name, adapter)
    for control in _asked(needs, data.settings):
        if control == NO_ADAPTER:
            if not data.settings.prompt.with_text:  # with text it would be the baseline's prompt
                how = {"params": data.settings.sampling, "prompt": data.settings.prompt, "name": method.name}
                template: str = getattr(method, "template", method.name)
                bare = NoAdapter(builder.models.own, contexts, **how, template=template)
                yield Condition(method=bare, control=control)
            continue
        if own and control == WRONG_USER:  # profiles are made once for both
            yield Condition(method=_profiled(method, WrongUsers(own, seed=seed)), control=control)
            continue
        source = _mismatched(control, data, contexts, name, twins)
        cases: PeerComparisons | None = None
        if needs.peers and control == WRONG_USER:
            cases = WrongUserCases(contexts, builder.comparisons, seed=seed)
        elif needs.peers and control == NEAREST_TWIN:
            cases = NearestTwinCases(builder.comparisons, twins)
        stranger = builder.build(name, source, adapter=adapter, comparisons=cases)
        if isinstance(stranger, ProfileMethod):
            stranger = _profiled(stranger, Memoized(stranger.states))
        yield Condition(method=stranger, control=control)


def _asked(needs: Requirements, settings: Settings) -> list[Control]:
    """The controls that a method declares, without extra ones that the settings do not ask for."""
    extra = {EXTRA_CONTROLS[name] for name in settings.extra_controls}
    return [control for control in needs.controls if control not in EXTRA_CONTROLS.values() or control in extra]


def _mismatched(control: Control, data: Data, contexts: Contexts, name: str, twins: Twins) -> Contexts:
    """The contexts of a control."""
    if control in (WRONG_USER, OTHER_VECTORS):
        return (WrongUser if control == WRONG_USER else OtherVectors)(contexts, seed=data.settings.seed)
    if control == NEAREST_TWIN:
        return NearestTwin(contexts, twins)
    right = data.builder(data.evaluated, past=requirements(name).past_vectors)
    return ItemCrowd(contexts, right) if control == ITEM_CROWD else Oracle(contexts, right, data.text_encoder)


def _profiled(method: Any, states: ProfileStates) -> Profiled:
    return Profiled(method=method, states=states)


def _trained(data: Data, builder: MethodBuilder, name: str, adapter: Path) -> Iterator[Condition]:
    """The controls whose adapters were fitted with the method's."""
    from idiolect.softprompt.artifact import WEIGHTS  # imports torch, which methods without an adapter do not need

    for folder, control in TRAINED_CONTROLS.items():
        if (adapter / folder / WEIGHTS).is_file():
            contexts = data.contexts(data.evaluated, vectors=control.vectors, past=requirements(name).past_vectors)
            method = builder.build(name, contexts, adapter=adapter / folder)
            yield Condition(method=method, control=control.label)


def _check_names(conditions: Sequence[ConditionId]) -> None:
    """Refuse conditions that tables or files could not tell apart."""
    files = [results.file_name(one.plain_name).casefold() for one in conditions]
    for one, file in zip(conditions, files, strict=True):
        if files.count(file) > 1:
            raise ConfigError(f"two methods are called {one.plain_name!r}", hint="give yours a name of its own")
