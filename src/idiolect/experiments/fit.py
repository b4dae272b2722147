"""From a split to a fitted adapter: contexts, examples, training, validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from idiolect.context.base import Context
from idiolect.evaluation.base import Metric
from idiolect.evaluation.table import load_metrics
from idiolect.experiments.data import Data
from idiolect.experiments.results import write_json
from idiolect.experiments.settings import Settings
from idiolect.llm.transformers import TransformersLLM
from idiolect.methods.dep import DEP
from idiolect.prompts.render import PromptConfig, render
from idiolect.prompts.tokenize import PromptTokenizer
from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.config import AdapterConfig
from idiolect.training.examples import Example, make_example
from idiolect.training.fit import fit_adapter
from idiolect.training.report import FitReport

SETTINGS = "settings.json"
"""Beside an adapter: what it was fitted with, so that it is never used with anything else."""
CONSTANT = "constant"
"""Folder of the control adapter inside the adapter's folder."""


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
    dim = data.store.encoders()[data.encoder]
    streams = adapter_config(settings, dim=dim, hidden_size=llm.hidden_size, kind="dep").streams
    prompt = settings.prompt.model_copy(update={"streams": streams})
    contexts = data.contexts("fit").build(data.samples("fit"))
    examples = make_examples(llm.prompts, contexts, prompt)
    metrics = load_metrics(["meteor"])
    provenance = _provenance(data, llm)
    reports: dict[str, FitReport] = {}
    for name, kind in [("dep", "dep")] + [("constant", CONSTANT)] * settings.constant_control:
        config = adapter_config(settings, dim=dim, hidden_size=llm.hidden_size, kind=kind)
        adapter = Adapter(config, torch.Generator().manual_seed(settings.seed))
        where = folder if name == "dep" else folder / CONSTANT
        reports[name] = fit_adapter(
            llm.model,
            adapter,
            examples,
            config=settings.fit,
            folder=where,
            pad_id=llm.prompts.pad_id,
            validate=_validation(data, llm, adapter, prompt, metrics[0]),
            resume=resume,
            progress=progress,
            provenance=provenance,
        )
    record = {"settings": settings.model_dump(mode="json"), "encoder": data.encoder, "backbone": llm.name}
    write_json(folder / SETTINGS, record)
    return reports


def adapter_config(settings: Settings, *, dim: int, hidden_size: int, kind: str) -> AdapterConfig:
    """The adapter's configuration: preset, then the settings, then what encoder, backbone and context dictate."""
    forced = {"d_in": dim, "hidden_size": hidden_size, "kind": kind, "max_entries": max(1, settings.context.k)}
    return AdapterConfig.preset(settings.adapter_preset, **{**settings.adapter, **forced})


def _validation(
    data: Data, llm: TransformersLLM, adapter: Adapter, prompt: PromptConfig, meteor: Metric
) -> Callable[[], dict[str, float]]:
    """The references' likelihood on the validation targets and, if that is not what decides, generation and METEOR."""
    samples = data.samples("validation")
    contexts = data.contexts("validation")
    references = [sample.reference or "" for sample in samples]

    def validate() -> dict[str, float]:
        dep = DEP(llm, contexts, adapter, params=data.settings.sampling, prompt=prompt)
        nats = llm.negative_log_likelihood(dep.prompts(samples), references)
        scores = {"nll": float(nats.mean())}
        if data.settings.fit.metric != "nll":
            texts = [prediction.text for prediction in dep.generate(samples)]
            scores["meteor"] = meteor.aggregate(meteor.segments(texts, references))
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
