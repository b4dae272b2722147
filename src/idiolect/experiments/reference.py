"""Every setting there is, with its default and meaning, from the classes that define them.

``python -m idiolect.experiments.reference > docs/settings.md`` writes the page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from idiolect.config import Config
from idiolect.data.split_config import SplitConfig
from idiolect.explain.card import ExplainConfig
from idiolect.explain.latent import LatentConfig
from idiolect.llm.base import SamplingParams
from idiolect.llm.endpoint import OpenAIConfig
from idiolect.methods.adaptive import AdaptiveConfig
from idiolect.pipeline.settings import RoleConfig, RoleSampling, Settings
from idiolect.prompts.rendering import PromptConfig
from idiolect.sandbox.domain import WorldConfig
from idiolect.softprompt.config import DICTATED, AdapterConfig, PPlugConfig
from idiolect.store.embedding import EmbedConfig
from idiolect.store.ingestion import IngestConfig
from idiolect.training.config import PretrainConfig

_RUN = "`--set NAME=VALUE` or `--config FILE.yaml`"
_COMMANDS = "of `fit`, `evaluate` and `write`: `--set NAME=VALUE` or `--config FILE.yaml`"

SECTIONS: tuple[tuple[str, str, type[Config], tuple[str, ...]], ...] = (
    (
        "Read reviews: `ingest`",
        "`--config FILE.yaml`, or flags of the same names (`--column`, `--item-column` once per field)",
        IngestConfig,
        (),
    ),
    (
        "Choose users and targets: `split`",
        "`--set NAME=VALUE` or `--config FILE.yaml`, laid on the preset that `--preset` or `preset` in the file names",
        SplitConfig,
        (),
    ),
    ("Compute vectors: `embed`", "`--config FILE.yaml`, or flags of the same names", EmbedConfig, ()),
    (
        "The language model and how it writes",
        _COMMANDS,
        Settings,
        ("backbone", "sampling", "cache"),
    ),
    (
        "What the model is shown of a user",
        _COMMANDS,
        Settings,
        ("encoder", "context", "peers", "vectors", "prompt"),
    ),
    (
        "PAG, DPL and DRP: what is compared, and by whom",
        f"{_COMMANDS}; [methods](methods.md) has examples",
        Settings,
        ("methods", "differences"),
    ),
    (
        "Fit DEP or PPlug",
        _COMMANDS,
        Settings,
        ("fit", "adapter_method", "adapter_preset", "adapter", "controls", "targets.train_per_user"),
    ),
    (
        "Evaluate",
        _COMMANDS,
        Settings,
        (
            *("targets", "metrics", "authorship", "text_judge", "baseline", "negative_controls", "extra_controls"),
            *("token_classes", "uniqueness_groups", "resamples", "seed"),
        ),
    ),
    (
        "DEP's adapter",
        "under `adapter.` of *Fit DEP or PPlug*; encoder and backbone fill in their dimensions",
        AdapterConfig,
        (),
    ),
    (
        "PPlug's adapter",
        "under `adapter.` of *Fit DEP or PPlug* with `adapter_method: pplug`; encoder and backbone fill in their "
        "dimensions",
        PPlugConfig,
        (),
    ),
    (
        "A model for a role",
        "under `differences.extractor.`, `.validator.`, `.summarizer.`, `.generator.` and `.judge.`; `{}` is the run's "
        "own model with these defaults",
        RoleConfig,
        (),
    ),
    ("Adaptive extraction", "under `differences.stages.adaptive.`", AdaptiveConfig, ()),
    (
        "A model behind an endpoint",
        "under `backbone.endpoint.`, also of a role's, if a model is called over HTTP",
        OpenAIConfig,
        (),
    ),
    ("Pretrain a backbone: `pretrain`", _RUN, PretrainConfig, ()),
    ("Explain a user: `explain`", _RUN, ExplainConfig, ()),
    ("Units of an adapter: `explain --latent`", _RUN, LatentConfig, ()),
    ("Make up a world: `sandbox`", _RUN, WorldConfig, ()),
)
"""Heading, how the settings are given, the class, and (for a part of a class) the names or beginnings of names."""


_INTRODUCTION = (
    "Dots descend: `--set context.k=4` is `context: {k: 4}` in YAML. Flags go before the file, the file before the "
    "defaults; unknown names are refused. `idiolect demo` takes the names below under `world` (those of `sandbox`), "
    '`split` and `settings` (those of `fit`): `--set settings.fit.epochs=3`. From Python: `settings={"context": {"k": '
    '4}}`, or `config="file.yaml"`.'
)


def page() -> str:
    """The reference as Markdown, grouped by task."""
    parts = ["# Settings", _INTRODUCTION]
    listed: set[tuple[type, str]] = set()
    for title, how, cls, chosen in SECTIONS:
        found = [row for row in _rows(cls) if (cls, row[0]) not in listed and _is_chosen(row[0], chosen)]
        listed |= {(cls, name) for name, _, _ in found}
        rows = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in found]
        parts += [f"## {title}", f"{how[0].upper()}{how[1:]}.", "\n".join([_HEAD, *rows])]
    return "\n\n".join(parts) + "\n"


def unlisted() -> list[str]:
    """Settings that no section shows; there should be none."""
    return [
        name
        for cls in {cls for _, _, cls, _ in SECTIONS}
        for name, _, _ in _rows(cls)
        if not any(_is_chosen(name, chosen) for _, _, other, chosen in SECTIONS if other is cls)
    ]


_HEAD = "| setting | default | meaning |\n|---|---|---|"


def _is_chosen(name: str, chosen: tuple[str, ...]) -> bool:
    return not chosen or any(name == one or name.startswith(f"{one}.") for one in chosen)


_FOLLOWS: Mapping[type[BaseModel], Collection[str]] = {
    AdapterConfig: DICTATED,
    PPlugConfig: DICTATED,
    PromptConfig: {"streams"},
}
"""Fields that the program fills in: what is given for them has to agree with what they follow from."""


def _rows(cls: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in cls.model_fields.items():
        kind = field.annotation
        if name in _FOLLOWS.get(cls, ()):
            continue
        if kind is RoleSampling:  # the run's own, with other defaults
            changed = {key: value for key, value in RoleSampling() if value != getattr(SamplingParams(), key)}
            yield f"{prefix}{name}", f"`{_shown(changed)}`", _meaning(field.description)
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _rows(kind, f"{prefix}{name}.")
        else:
            default = "" if field.is_required() else f"`{_shown(field.get_default(call_default_factory=True))}`"
            yield f"{prefix}{name}", default, _meaning(field.description)


def _meaning(description: str | None) -> str:
    return " ".join((description or "").split()).replace("|", r"\|").replace("``", "`")


def _shown(value: object) -> str:
    """A default as YAML and flags write it."""
    return "the package's own" if isinstance(value, Path) else json.dumps(value)


if __name__ == "__main__":
    sys.stdout.write(page())
