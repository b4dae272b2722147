"""Every setting there is, with its default and meaning, from the classes that define them.

``python -m idiolect.experiments.reference > docs/settings.md`` writes the page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from idiolect.config import Config
from idiolect.corpus.rules import SplitConfig
from idiolect.experiments.embed import EmbedConfig
from idiolect.experiments.explain.settings import ExplainConfig
from idiolect.experiments.ingest import IngestConfig
from idiolect.experiments.roles import RoleConfig
from idiolect.experiments.settings import Settings
from idiolect.llm.endpoint import OpenAIConfig
from idiolect.methods.allowance import AdaptiveConfig
from idiolect.sandbox.config import WorldConfig
from idiolect.softprompt.config import AdapterConfig
from idiolect.training.pretrain_config import PretrainConfig

SECTIONS: tuple[tuple[str, str, type[Config]], ...] = (
    (
        "ingest",
        "`--config FILE.yaml`, or flags of the same names (`--column`, `--item-column` once a field)",
        IngestConfig,
    ),
    (
        "split",
        "`--set NAME=VALUE` or `--config FILE.yaml`, laid on the preset that `--preset` or `preset` in the file names",
        SplitConfig,
    ),
    ("embed", "`--config FILE.yaml`, or flags of the same names", EmbedConfig),
    ("fit, evaluate, write", "`--set NAME=VALUE` or `--config FILE.yaml`", Settings),
    (
        "adapter",
        "under `adapter.` of the settings above; encoder and backbone fill in their dimensions",
        AdapterConfig,
    ),
    (
        "role",
        "under `differences.extractor.`, `.validator.`, `.summarizer.`, `.generator.` of the settings above; `{}` is "
        "the run's own model with these defaults",
        RoleConfig,
    ),
    ("adaptive", "under `differences.stages.adaptive.` of the settings above", AdaptiveConfig),
    (
        "endpoint",
        "under `backbone.endpoint.` of the settings above, also of a role's, where a model is asked over HTTP",
        OpenAIConfig,
    ),
    ("pretrain", "`idiolect pretrain --set NAME=VALUE` or `--config FILE.yaml`", PretrainConfig),
    ("explain", "`idiolect explain --set NAME=VALUE`", ExplainConfig),
    ("sandbox", "`idiolect sandbox --set NAME=VALUE` or `--config FILE.yaml`", WorldConfig),
)


_INTRODUCTION = (
    "Dots descend: `--set context.k=4` is `context: {k: 4}` in YAML. Flags go before the file, the file before the "
    "defaults; unknown names are refused. `idiolect demo` takes the names below under `world` (those of sandbox), "
    "`split` and `settings` (those of fit): `--set settings.fit.epochs=3`."
)


def page() -> str:
    """The reference as Markdown."""
    parts = ["# Settings", _INTRODUCTION]
    for title, how, cls in SECTIONS:
        rows = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in _rows(cls)]
        parts += [f"## {title}", f"{how}.", "\n".join(["| setting | default | |", "|---|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"


def _rows(cls: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in cls.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _rows(kind, f"{prefix}{name}.")
        else:
            default = "" if field.is_required() else f"`{_shown(field.get_default(call_default_factory=True))}`"
            yield (
                f"{prefix}{name}",
                default,
                " ".join((field.description or "").split()).replace("|", r"\|").replace("``", "`"),
            )


def _shown(value: object) -> str:
    """A default as YAML and flags write it."""
    return "the package's own" if isinstance(value, Path) else json.dumps(value)


if __name__ == "__main__":
    sys.stdout.write(page())
