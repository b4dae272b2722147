"""Fit and evaluate as a command line or a short program calls them: by paths and settings."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idiolect.config import build, load, merge
from idiolect.encoders.table import load_encoder
from idiolect.errors import NotFoundError, require
from idiolect.experiments.settings import Settings
from idiolect.store.sql import SqlStore

if TYPE_CHECKING:
    from idiolect.experiments.evaluate import Evaluation
    from idiolect.training.report import FitReport


def load_settings(
    adapter: Path | None = None,
    *,
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    backbone: str | None = None,
    encoder: str | None = None,
) -> Settings:
    """Defaults, below an adapter's own settings or a YAML file, below flags.

    Raises:
        NotFoundError: There is no fitted adapter in ``adapter``.
        ConfigError: A setting is unknown or wrong.
    """
    flags: dict[str, Any] = dict(changes or {})
    if backbone is not None:
        flags = merge(flags, {"backbone": {"model": backbone}})
    if encoder is not None:
        flags = merge(flags, {"encoder": encoder})
    if adapter is None:
        return load(Settings, config, flags)
    path = adapter / "settings.json"
    if not path.is_file():
        raise NotFoundError(f"no fitted adapter in {str(adapter)!r}", hint="name the folder that idiolect fit wrote")
    own = json.loads(path.read_text(encoding="utf-8"))["settings"]
    return build(Settings, merge(own, flags), where=str(path))


def run_fit(
    store: str,
    split: Path,
    folder: Path,
    *,
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    backbone: str | None = None,
    encoder: str | None = None,
    resume: bool = True,
    progress: bool = False,
) -> dict[str, FitReport]:
    """Fit an adapter (and its constant control) on a split of a store.

    Raises:
        IdiolectError: Any of its kinds; nothing that was finished is lost.
    """
    settings = load_settings(config=config, changes=changes, backbone=backbone, encoder=encoder)
    require("torch", extra="train")
    from idiolect.experiments.data import Data
    from idiolect.experiments.fit import fit
    from idiolect.llm.transformers import TransformersLLM

    with SqlStore(store, create=False) as database:
        data = Data(database, split, settings, encoder=load_encoder(settings.encoder).name)
        llm = TransformersLLM.load(settings.backbone, progress=progress)
        return fit(data, llm, folder=folder, resume=resume, progress=progress)


def run_evaluate(
    store: str,
    split: Path,
    folder: Path,
    *,
    adapter: Path | None = None,
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    backbone: str | None = None,
    encoder: str | None = None,
    generate_controls: bool = False,
    progress: bool = False,
) -> Evaluation:
    """Evaluate methods and, with an adapter, DEP and its controls.

    Raises:
        IdiolectError: Any of its kinds; conditions that were finished are kept.
    """
    settings = load_settings(adapter, config=config, changes=changes, backbone=backbone, encoder=encoder)
    require("torch", extra="train")
    from idiolect.experiments.data import Data
    from idiolect.experiments.evaluate import evaluate
    from idiolect.llm.transformers import TransformersLLM

    with SqlStore(store, create=False) as database:
        data = Data(database, split, settings, encoder=load_encoder(settings.encoder).name)
        llm = TransformersLLM.load(settings.backbone, progress=progress)
        return evaluate(
            data,
            llm,
            folder=folder,
            adapter=adapter,
            generate_controls=generate_controls,
            provenance={"command": " ".join(sys.argv)},
        )
