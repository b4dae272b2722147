"""What held-out targets lose when a unit of the code is silenced: the only figure here that asks the language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from idiolect.context import Context
from idiolect.encoders import load_encoder
from idiolect.errors import ConfigError
from idiolect.evaluation.columns import NLL
from idiolect.evaluation.significance import Interval, Resamples, interval
from idiolect.methods.soft_prompt import SoftPromptMethod
from idiolect.pipeline.adapters import check_adapter
from idiolect.pipeline.commands import load_settings, open_model
from idiolect.pipeline.data import Data
from idiolect.pipeline.models import MethodBuilder, Models
from idiolect.progress import Progress
from idiolect.prompts.rendering import digest
from idiolect.store.sql import SqlStore
from idiolect.types import Phase, Sample


class _Built:
    """Contexts that were built once: units change nothing before the adapter."""

    def __init__(self, contexts: list[Context]) -> None:
        self._contexts = contexts

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        """The contexts of the samples they were built for."""
        return self._contexts


def silence(
    store: str,
    split: Path,
    folder: Path,
    units: Sequence[int],
    *,
    samples: int,
    seed: int = 0,
    changes: Mapping[str, Any] | None = None,
    backbone: str | None = None,
    encoder: str | None = None,
    progress: bool = False,
) -> tuple[dict[int, Interval], int]:
    """Nats per reference that are lost with each unit silenced, with a 95 % interval over users.

    Validation targets are used, so that a unit that is chosen by them is not chosen by the test; without validation
    targets those of the test.

    Args:
        store: SQLite file or database URL.
        split: Folder of the split.
        folder: Of the adapter.
        units: Which are silenced, one at a time.
        samples: Most targets.
        seed: Of the intervals.
        changes: Settings of the run.
        backbone: The model, where the adapter does not name it.
        encoder: The same for the encoder.
        progress: Show a bar.

    Returns:
        By unit, and the number of targets.

    Raises:
        ConfigError: The model gives no likelihoods.
        ArtifactError: The adapter fits neither model, encoder nor split.
    """
    with SqlStore(store, create=False) as database:
        settings = load_settings(folder, changes=changes, backbone=backbone, encoder=encoder, store=database)
        data = Data(database, split, settings, encoder=load_encoder(settings.encoder))
        phase: Phase = "validation" if data.has("validation") else data.evaluated
        chosen = data.samples(phase)[:samples]
        with open_model(settings, store, progress=progress) as llm, Models(llm, settings.sampling) as models:
            if "likelihood" not in llm.supports:
                raise ConfigError(f"{llm.name} gives no likelihoods", hint="leave out split=, or use model=MODEL")
            words = digest(settings.prompt)
            fits = {"templates": words, "store": data.fingerprint, "split": data.members}
            check_adapter(folder, encoder=data.encoder, backbone=llm.name, **fits)
            builder = MethodBuilder(settings, models, data.snapshot(phase), data.text_encoder)
            contexts = _Built(data.contexts(phase).build(chosen))
            method = builder.build(settings.adapter_method, contexts, adapter=folder)
            assert isinstance(method, SoftPromptMethod)
            nats = _nats(method, chosen, units, progress)
    users = [str(sample.user) for sample in chosen]
    draws = Resamples(len(users), np.random.default_rng([seed, 31]), clusters=users)
    return {unit: interval(draws.score(NLL, nats[unit] - nats[None])) for unit in units}, len(chosen)


def _nats(
    method: SoftPromptMethod, samples: Sequence[Sample], units: Sequence[int], progress: bool
) -> dict[int | None, np.ndarray]:
    """Nats of every reference with each unit silenced; None: with none."""
    references = [sample.reference or "" for sample in samples]
    nats: dict[int | None, np.ndarray] = {}
    with Progress(len(units) + 1, "silence", "unit", shown=progress, keep=False) as bar:
        for unit in (None, *units):
            method.adapter.scale_units({} if unit is None else {unit: 0.0})
            nats[unit] = method.llm.negative_log_likelihood(method.prompts(samples), references)
            bar.update()
    return nats
