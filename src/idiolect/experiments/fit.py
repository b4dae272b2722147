"""From a split to a fitted adapter: contexts, examples, training, validation."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from idiolect.context.base import Context
from idiolect.evaluation.table import load_metrics
from idiolect.experiments.adapters import CONSTANT, SETTINGS
from idiolect.experiments.data import Data
from idiolect.experiments.results import write_json
from idiolect.llm.transformers import TransformersLLM
from idiolect.methods.dep import DEP
from idiolect.prompts.render import PromptConfig, render
from idiolect.prompts.tokenize import PromptTokenizer
from idiolect.softprompt.adapter import Adapter
from idiolect.training.examples import Example, make_example
from idiolect.training.fit import fit_adapter
from idiolect.training.report import FitReport


def make_examples(tokenizer: PromptTokenizer, contexts: Sequence[Context], prompt: PromptConfig) -> list[Example]:
    """One training example a context: the DEP prompt, the reference, and the vectors of the slots that fitted."""
    return [
        make_example(
            tokenizer.encode(render("dep", context, prompt)),
            tokenizer.encode_reference(context.sample.reference or ""),
            context,
        )
        for context in contexts
    ]


def fit(
    data: Data, llm: TransformersLLM, *, folder: Path, resume: bool = True, progress: bool = False
) -> dict[str, FitReport]:
    """Fit the adapter, and the constant control where the settings ask for it.

    Args:
        data: Store, split and settings.
        llm: The backbone; frozen.
        folder: Gets the adapter, ``settings.json``, ``log.jsonl``; the control goes to ``constant/`` inside.
        resume: Go on where an earlier call was interrupted.
        progress: Show bars.

    Returns:
        Reports by name: ``dep`` and, where fitted, ``constant``.
    """
    settings = data.settings
    config = settings.adapter_config(d_in=data.dim, hidden_size=llm.hidden_size)
    prompt = settings.prompt.model_copy(update={"streams": config.streams})
    contexts = data.contexts("fit").build(data.samples("fit"))
    examples = make_examples(llm.prompts, contexts, prompt)
    if not resume:  # until the new adapter is whole there is none: half of an old one must not be taken for it
        (folder / SETTINGS).unlink(missing_ok=True)
    reports: dict[str, FitReport] = {}
    for name, where in _adapters(folder, constant=settings.constant_control).items():
        own = config.model_copy(update={"kind": name})
        adapter = Adapter(own, torch.Generator().manual_seed(settings.seed))
        reports[name] = fit_adapter(
            llm.model,
            adapter,
            examples,
            config=settings.fit,
            folder=where,
            pad_id=llm.prompts.pad_id,
            validate=_validation(data, llm, adapter, prompt) if data.has("validation") else None,
            resume=resume,
            progress=progress,
            provenance=_provenance(data, llm),
            depends={"backbone": llm.name, "seed": str(settings.seed), "split": data.members},
        )
    record = {"settings": settings.model_dump(mode="json"), "encoder": data.encoder, "backbone": llm.name}
    write_json(folder / SETTINGS, {**record, "store": data.fingerprint, "split": data.members})
    return reports


def _adapters(folder: Path, *, constant: bool) -> dict[Literal["dep", "constant"], Path]:
    """Where each adapter goes; a control that is not wanted (any more) is removed."""
    if constant:
        return {"dep": folder, "constant": folder / CONSTANT}
    shutil.rmtree(folder / CONSTANT, ignore_errors=True)
    return {"dep": folder}


def _validation(
    data: Data, llm: TransformersLLM, adapter: Adapter, prompt: PromptConfig
) -> Callable[[], dict[str, float]]:
    """The references' likelihood on the validation targets and, if that is not what decides, generation and METEOR."""
    generated = load_metrics(["meteor"] if data.settings.fit.metric == "meteor" else [])
    samples = data.samples("validation")
    contexts = data.contexts("validation")
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


def _provenance(data: Data, llm: TransformersLLM) -> dict[str, Any]:
    return {
        "backbone": llm.name,
        "encoder": data.encoder,
        "store": data.fingerprint,
        "users": len(data.split.users),
        "visibility": "fit: no validation or test target, nor the sample's own",
        "cold start": data.settings.context.cold_start,
    }
