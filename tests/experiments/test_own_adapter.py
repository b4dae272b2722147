"""A method with an adapter of its own, as an installed package adds it: fitted, saved, loaded, used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import idiolect as idl
from idiolect.errors import ArtifactError
from idiolect.methods.base import METHODS
from idiolect.softprompt.artifact import read_config
from idiolect.softprompt.config import ADAPTERS
from idiolect.store.sql import SqlStore

MODULE = '''
from typing import ClassVar, Literal

import numpy as np

from idiolect.methods.base import Requirements
from idiolect.methods.soft_prompt import SoftPromptMethod
from idiolect.prompts.rendering import render
from idiolect.softprompt.config import USER_STREAMS, SoftPromptConfig, UserInputs, stream_ids


class MeanConfig(SoftPromptConfig):
    """A projection of the mean vector of a user's past reviews."""

    adapter_class: ClassVar[str] = "ownadapter:MeanAdapter"
    kind: Literal["mean"] = "mean"
    bias: bool = True


class MeanPrompt(SoftPromptMethod):
    name = "mean"
    requires = Requirements(title="Mean", vectors=True, past_vectors=64, adapter="mean", llm=frozenset({"soft"}))

    def render(self, context):
        return render("pplug", context, self.prompt, sources=context.past.reviews)

    def inputs(self, contexts, tokens):
        return [
            UserInputs(stream=stream_ids(own, USER_STREAMS), history=one.past.vectors, query="")
            for one, own in zip(contexts, tokens, strict=True)
        ]


def __getattr__(name):
    """The adapter itself needs torch, so it is defined when it is first used."""
    if name != "MeanAdapter":
        raise AttributeError(name)
    import torch

    from idiolect.softprompt.adapter import AdapterOutput
    from idiolect.softprompt.artifact import SavedAdapter

    class MeanAdapter(SavedAdapter):
        config_class = MeanConfig

        def __init__(self, config, generator=None):
            super().__init__()
            self.config = config
            self.project = torch.nn.Linear(config.d_in, config.hidden_size, bias=config.bias)

        def collate(self, inputs):
            empty = np.zeros((1, self.config.d_in))
            means = [np.mean(one.history if len(one.history) else empty, axis=0) for one in inputs]
            rows = np.concatenate([np.repeat(m[None], len(one.stream), axis=0) for m, one in zip(means, inputs)])
            return {"vectors": torch.from_numpy(rows.astype(np.float32))}

        def embed_batch(self, batch, n_samples, average):
            return AdapterOutput(self.project(batch["vectors"]), {}, {})

        def check_inputs(self, inputs):
            pass

        def fit_statistics(self, inputs, *, token_norm):
            pass

    return MeanAdapter
'''


class Mean(idl.FittedPersonalizer):
    """Also usable from Python, by its registered name."""

    name = "mean"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    site = tmp_path / "site"
    (site / "own-1.0.dist-info").mkdir(parents=True)
    (site / "ownadapter.py").write_text(MODULE)
    (site / "own-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (site / "own-1.0.dist-info" / "entry_points.txt").write_text(
        "[idiolect.methods]\nmean = ownadapter:MeanPrompt\n[idiolect.adapters]\nmean = ownadapter:MeanConfig\n"
    )
    monkeypatch.syspath_prepend(str(site))
    for registry in (METHODS, ADAPTERS):
        registry.__dict__.pop("_installed", None)  # read once per process
    yield
    for registry in (METHODS, ADAPTERS):
        registry.__dict__.pop("_installed", None)


@pytest.mark.usefixtures("installed")
def test_an_installed_method_with_its_own_adapter_is_fitted_saved_loaded_and_used(job: Any, tmp_path: Path) -> None:
    with SqlStore(job.store) as database:
        user, item = database.users()[0], database.item_frame()["item"][0]
    settings = {**job.settings, "fit": {"max_steps": 2, "metric": "nll"}, "adapter": {"bias": False}}
    store = idl.Store(job.store)
    model = Mean(str(job.backbone), encoder="hash:48", settings=settings)
    model.fit(idl.Split(job.split, store), tmp_path / "fitted")
    assert model.report is not None
    assert model.report.steps == 2
    model.save_pretrained(tmp_path / "saved")
    record = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert (record["kind"], record["bias"]) == ("mean", False)
    with Mean.from_pretrained(tmp_path / "saved", str(job.backbone), encoder="hash:48") as loaded:
        written = loaded.write(store, user=user, item=item)
    assert (written.method, bool(written.prompt)) == ("mean", True)


def test_an_adapter_whose_package_is_not_installed_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"kind": "ownadapter:MeanConfig", "d_in": 4, "hidden_size": 8}))
    with pytest.raises(ArtifactError, match="unknown kind 'ownadapter:MeanConfig'"):
        read_config(tmp_path)
