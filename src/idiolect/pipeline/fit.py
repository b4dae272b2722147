"""From a split to a fitted adapter: contexts, examples, training, validation."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from idiolect.encoders import folder_digest
from idiolect.errors import ConfigError
from idiolect.llm.transformers import TransformersLLM
from idiolect.methods.base import method_class, requirements
from idiolect.methods.controls import TRAINED_CONTROLS, Vectors
from idiolect.methods.soft_prompt import SoftPromptMethod
from idiolect.metrics.registry import load_metrics
from idiolect.pipeline.adapters import LONGEST_NAME, SETTINGS, check_adapter
from idiolect.pipeline.data import Data
from idiolect.pipeline.models import adapted, task_notes
from idiolect.pipeline.results import write_json
from idiolect.pipeline.settings import Settings
from idiolect.processes import on_main
from idiolect.prompts.rendering import digest
from idiolect.prompts.tokenization import PromptTokenizer
from idiolect.softprompt.artifact import SavedAdapter
from idiolect.softprompt.config import adapter_config_class
from idiolect.softprompt.model import make_adapter
from idiolect.training.examples import Example, make_example, with_sub_histories
from idiolect.training.fit import FitReport, fit_adapter
from idiolect.types import Phase, Sample


def make_examples(
    method: SoftPromptMethod, tokenizer: PromptTokenizer, samples: Sequence[Sample], *, max_target: int | None = None
) -> list[Example]:
    """One training example per sample: the method's prompt, the reference (cut), and what the adapter reads."""
    contexts = [method.choose(context) for context in method.contexts.build(samples)]
    encoded = [tokenizer.encode(method.render(context)) for context in contexts]
    inputs = method.inputs(contexts, [prompt.virtual_tokens for prompt in encoded])
    return [
        make_example(prompt, tokenizer.encode_reference(context.sample.reference or "")[:max_target], own)
        for context, prompt, own in zip(contexts, encoded, inputs, strict=True)
    ]


def soft_prompt_method(name: str) -> type[SoftPromptMethod]:
    """The class of a method that is fitted.

    Raises:
        ConfigError: It has no adapter, or is not derived from ``SoftPromptMethod``.
    """
    found: Any = method_class(name)
    if not (isinstance(found, type) and issubclass(found, SoftPromptMethod)):
        hint = "derive it from idiolect.methods.soft_prompt.SoftPromptMethod"
        raise ConfigError(f"{name} cannot be fitted", hint=hint)
    return found


def fit(
    data: Data,
    llm: TransformersLLM,
    *,
    folder: Path,
    initial: Path | None = None,
    resume: bool = True,
    progress: bool = False,
) -> dict[str, FitReport]:
    """Fit the adapter, and the trained controls that the settings ask for.

    Of several processes all call it, and the first one alone writes.

    Args:
        data: Store, split and settings.
        llm: The backbone; frozen.
        folder: Gets the adapter, ``settings.json``, ``log.jsonl``; a control goes to a folder of its name inside.
        initial: Another fit's folder, whose adapters these go on from, with the same scales; None: from scratch.
        resume: Go on where an earlier call was interrupted.
        progress: Show bars.

    Returns:
        Reports by name: the method's (``settings.adapter_method``), then the controls'.

    Raises:
        NotFoundError: ``initial`` lacks an adapter that is wanted.
        ArtifactError: ``initial`` was fitted with another encoder, backbone or shape, or on another split of the store.
    """
    settings = data.settings
    task_notes(settings)
    if initial is not None:
        own = {"encoder": data.encoder, "backbone": llm.name, "templates": digest(settings.prompt)}
        check_adapter(initial, **own, store=data.fingerprint, split=data.members)
    fits = _Fits(data, llm)
    on_main(lambda: _make_room(folder, resume=resume, controls=settings.controls))
    reports: dict[str, FitReport] = {}
    for name, (constant, vectors) in _wanted(settings).items():
        adapter = fits.adapter(constant=constant)
        if initial is not None:
            adapter.load(_where(settings, initial, name))
        reports[name] = fit_adapter(
            llm.model,
            adapter,
            fits.examples(adapter, vectors),
            config=settings.fit,
            folder=_where(settings, folder, name),
            pad_id=llm.prompts.pad_id,
            validate=fits.validation(adapter, vectors),
            resume=resume,
            progress=progress,
            provenance=_provenance(data, llm, vectors),
            depends=_depends(data, llm, initial),
            continued=initial is not None,
        )
    on_main(lambda: write_json(folder / SETTINGS, _record(data, llm)))
    return reports


class _Fits:
    """What the adapters of one call share: their method, and the examples of those that come one after the other."""

    def __init__(self, data: Data, llm: TransformersLLM) -> None:
        self._data, self._llm, self._settings = data, llm, data.settings
        self._made = soft_prompt_method(data.settings.adapter_method)
        self._examples: dict[Vectors, list[Example]] = {}

    def adapter(self, *, constant: bool) -> SavedAdapter:
        """A new adapter: the method's, or the trained constant."""
        data, settings = self._data, self._settings
        config = settings.adapter_config(d_in=data.dim, hidden_size=self._llm.hidden_size, constant=constant)
        module = getattr(data.text_encoder, "module", None)
        config = config.resolved(data.text_encoder.name, trainable=module is not None)
        return make_adapter(config, torch.Generator().manual_seed(settings.seed), model=module)

    def method(self, adapter: SavedAdapter, phase: Phase, vectors: Vectors) -> SoftPromptMethod:
        """The method with an adapter, on a phase's contexts."""
        data, settings = self._data, self._settings
        how = {"params": settings.sampling, "prompt": adapted(settings.prompt, adapter), "encoder": data.text_encoder}
        contexts = data.contexts(phase, vectors=vectors, past=self._made.requires.past_vectors)
        return self._made(self._llm, contexts, adapter, **how)

    def examples(self, adapter: SavedAdapter, vectors: Vectors) -> list[Example]:
        """What an adapter is trained on; the method's and the constant's are the same."""
        if vectors not in self._examples:
            self._examples.clear()
            method, prompts = self.method(adapter, "fit", vectors), self._llm.prompts
            limit = self._settings.fit.max_target_tokens
            found = make_examples(method, prompts, self._data.samples("fit"), max_target=limit)
            parts = getattr(adapter.config, "sub_histories", 0)
            self._examples[vectors] = with_sub_histories(found, parts, self._settings.seed) if parts else found
        return self._examples[vectors]

    def validation(self, adapter: SavedAdapter, vectors: Vectors) -> Callable[[], dict[str, float]] | None:
        """Scores an adapter on the validation targets; None if there are none."""
        if not self._data.has("validation"):
            return None
        return _validation(self._data, self._llm, self.method(adapter, "validation", vectors))


def _record(data: Data, llm: TransformersLLM) -> dict[str, Any]:
    """What the adapter must be used with."""
    own = {"settings": data.settings.model_dump(mode="json"), "encoder": data.encoder, "backbone": llm.name}
    templates = digest(data.settings.prompt)
    return {
        **own,
        "templates": templates,
        "store": data.fingerprint,
        "split": data.members,
        "corpus": data.store.label[:LONGEST_NAME],
    }


def _depends(data: Data, llm: TransformersLLM, initial: Path | None) -> dict[str, str]:
    """What else must be the same for a fit to go on."""
    templates = digest(data.settings.prompt)
    depends = {"backbone": llm.name, "seed": str(data.settings.seed), "split": data.members, "templates": templates}
    return depends if initial is None else {**depends, "initial": folder_digest(initial)}


def _make_room(folder: Path, *, resume: bool, controls: Sequence[str]) -> None:
    """Remove what an earlier fit left and this one would not overwrite."""
    if not resume:  # until the new adapter is whole there is none: half of an old one must not be taken for it
        (folder / SETTINGS).unlink(missing_ok=True)
    for name in TRAINED_CONTROLS.keys() - set(controls):
        shutil.rmtree(folder / name, ignore_errors=True)


class _Wanted(NamedTuple):
    """An adapter that is to be fitted."""

    constant: bool
    vectors: Vectors


def _wanted(settings: Settings) -> dict[str, _Wanted]:
    """The method's adapter and its controls', by name."""
    has_constant = adapter_config_class(requirements(settings.adapter_method).adapter or "").constant is not None
    controls = {
        name: one
        for name, one in TRAINED_CONTROLS.items()
        if name in settings.controls and (has_constant or not one.constant)
    }
    own = {settings.adapter_method: _Wanted(False, settings.vectors)}
    return own | {name: _Wanted(control.constant, control.vectors) for name, control in controls.items()}


def _where(settings: Settings, folder: Path, name: str) -> Path:
    """Where an adapter goes."""
    return folder if name == settings.adapter_method else folder / name


def _validation(data: Data, llm: TransformersLLM, method: SoftPromptMethod) -> Callable[[], dict[str, float]]:
    """The references' likelihood on the validation targets and, if that is not what decides, generation and METEOR."""
    generated = load_metrics(["meteor"] if data.settings.fit.metric == "meteor" else [])
    samples = data.samples("validation")
    references = [sample.reference or "" for sample in samples]

    def validate() -> dict[str, float]:
        nats = llm.negative_log_likelihood(method.prompts(samples), references)
        scores = {"nll": float(nats.mean())}
        for metric in generated:
            texts = [prediction.text for prediction in method.generate(samples)]
            scores[metric.name] = metric.aggregate(metric.segments(texts, references))
        return scores

    return validate


def _provenance(data: Data, llm: TransformersLLM, vectors: Vectors) -> dict[str, Any]:
    return {
        "backbone": llm.name,
        "encoder": data.encoder,
        "store": data.fingerprint,
        "users": len(data.split.users),
        "visibility": "fit: no validation or test target, nor the sample's own",
        "cold start": data.settings.context.cold_start,
        "vectors": vectors,
    }
