"""From a split to a fitted adapter: contexts, examples, training, validation."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from idiolect.context import Context
from idiolect.encoders import folder_digest
from idiolect.llm.transformers import TransformersLLM
from idiolect.methods.controls import TRAINED_CONTROLS, Vectors
from idiolect.methods.dep import DEP
from idiolect.metrics.registry import load_metrics
from idiolect.pipeline.adapters import SETTINGS, check_adapter
from idiolect.pipeline.data import Data
from idiolect.pipeline.results import write_json
from idiolect.pipeline.settings import Settings
from idiolect.prompts.rendering import PromptConfig, digest, render
from idiolect.prompts.tokenization import PromptTokenizer
from idiolect.softprompt.adapter import Adapter
from idiolect.training.examples import Example, make_example
from idiolect.training.fit import FitReport, fit_adapter
from idiolect.training.trainer import on_main


def make_examples(
    tokenizer: PromptTokenizer, contexts: Sequence[Context], prompt: PromptConfig, *, max_target: int | None = None
) -> list[Example]:
    """One training example per context: the DEP prompt, the reference (cut), the vectors of the virtual tokens kept."""
    return [
        make_example(
            tokenizer.encode(render("dep", context, prompt)),
            tokenizer.encode_reference(context.sample.reference or "")[:max_target],
            context,
        )
        for context in contexts
    ]


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
        Reports by name: ``dep``, then the controls.

    Raises:
        NotFoundError: ``initial`` lacks an adapter that is wanted.
        ArtifactError: ``initial`` was fitted with another encoder, backbone or shape, or on another split of the store.
    """
    settings = data.settings
    if initial is not None:
        own = {"encoder": data.encoder, "backbone": llm.name, "templates": digest(settings.prompt.templates)}
        check_adapter(initial, **own, store=data.fingerprint, split=data.members)
    config = settings.adapter_config(d_in=data.dim, hidden_size=llm.hidden_size)
    prompt = settings.prompt.model_copy(update={"streams": config.streams})
    on_main(lambda: _make_room(folder, resume=resume, controls=settings.controls))
    how = settings.fit if initial is None else settings.fit.model_copy(update={"set_statistics": False})

    @lru_cache(maxsize=1)  # DEP's and the constant's are the same, and come one after the other
    def examples(vectors: Vectors) -> list[Example]:
        contexts = data.contexts("fit", vectors=vectors).build(data.samples("fit"))
        return make_examples(llm.prompts, contexts, prompt, max_target=settings.fit.max_target_tokens)

    reports: dict[str, FitReport] = {}
    for name, (kind, vectors) in _wanted(settings).items():
        adapter = Adapter(config.model_copy(update={"kind": kind}), torch.Generator().manual_seed(settings.seed))
        if initial is not None:
            adapter.load(_where(initial, name))
        reports[name] = fit_adapter(
            llm.model,
            adapter,
            examples(vectors),
            config=how,
            folder=_where(folder, name),
            pad_id=llm.prompts.pad_id,
            validate=_validation(data, llm, adapter, prompt, vectors) if data.has("validation") else None,
            resume=resume,
            progress=progress,
            provenance=_provenance(data, llm, vectors),
            depends=_depends(data, llm, initial),
        )
    on_main(lambda: write_json(folder / SETTINGS, _record(data, llm)))
    return reports


def _record(data: Data, llm: TransformersLLM) -> dict[str, Any]:
    """What the adapter must be used with."""
    own = {"settings": data.settings.model_dump(mode="json"), "encoder": data.encoder, "backbone": llm.name}
    templates = digest(data.settings.prompt.templates)
    return {**own, "templates": templates, "store": data.fingerprint, "split": data.members}


def _depends(data: Data, llm: TransformersLLM, initial: Path | None) -> dict[str, str]:
    """What else must be the same for a fit to go on."""
    templates = digest(data.settings.prompt.templates)
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

    kind: Literal["dep", "constant"]
    vectors: Vectors


def _wanted(settings: Settings) -> dict[str, _Wanted]:
    """DEP's adapter and its controls', by name."""
    controls = {name: one for name, one in TRAINED_CONTROLS.items() if name in settings.controls}
    own = {"dep": _Wanted("dep", settings.vectors)}
    return own | {name: _Wanted(control.kind, control.vectors) for name, control in controls.items()}


def _where(folder: Path, name: str) -> Path:
    """Where an adapter goes."""
    return folder if name == "dep" else folder / name


def _validation(
    data: Data, llm: TransformersLLM, adapter: Adapter, prompt: PromptConfig, vectors: Vectors
) -> Callable[[], dict[str, float]]:
    """The references' likelihood on the validation targets and, if that is not what decides, generation and METEOR."""
    generated = load_metrics(["meteor"] if data.settings.fit.metric == "meteor" else [])
    samples = data.samples("validation")
    contexts = data.contexts("validation", vectors=vectors)
    references = [sample.reference or "" for sample in samples]

    def validate() -> dict[str, float]:
        dep = DEP(llm, contexts, adapter, params=data.settings.sampling, prompt=prompt)
        nats = llm.negative_log_likelihood(dep.prompts(samples), references)
        scores = {"nll": float(nats.mean())}
        for metric in generated:
            texts = [prediction.text for prediction in dep.generate(samples)]
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
