"""A table or figure of a paper as a specification: rows are settings, columns are data sets and metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from idiolect.config import Config, build, merge, read_yaml, recipes
from idiolect.data.formats import CONFIGS
from idiolect.errors import NotFoundError
from idiolect.pipeline.settings import Settings
from idiolect.registry import suggest
from idiolect.sandbox.domain import WorldConfig

ProfileName = Literal["sandbox", "full"]
TITLES: Mapping[str, str] = {"Books": "Books", "Movies_and_TV": "Movies & TV", "CDs_and_Vinyl": "CDs & Vinyl"}
"""The papers' data sets by their configuration's name."""
METRIC_TITLES: Mapping[str, str] = {
    "rouge1": "R-1",
    "rougeL": "R-L",
    "meteor": "MET.",
    "bleu": "BL.",
    "bertscore-led": "BS.",
    "nll": "nats",
    "uvq": "UVQ",
}


class Row(Config):
    """One row: a method under settings, or figures that are only quoted."""

    name: str
    """As in the paper, and in ``expected.json``."""
    method: str | None = None
    """Name of a method; None: nothing is run, the published figures are quoted."""
    recipe: str | None = None
    """File of settings in the specification's folder, for the full profile; None: the specification's."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Laid on the recipe's and on the sandbox profile's settings alike."""
    full: dict[str, Any] | None = Field(default_factory=dict)
    """The same of the full profile alone; None: not run there."""
    sandbox: dict[str, Any] | None = Field(default_factory=dict)
    """The same of the sandbox profile alone; None: not run there."""
    stands_for: str = ""
    """What runs in the sandbox in the place of what cannot run there."""
    x: float | None = None
    """Place on the axis of a figure of ``lines``."""
    series: str = ""
    """Which line of a figure it belongs to."""


class TableSpec(Config):
    """A table or figure."""

    title: str
    """With the paper and its number."""
    kind: Literal["table", "lines", "bars", "scatter"] = "table"
    """What is drawn: nothing, lines over ``x``, bars of groups, or UVQ against BLEU."""
    expected: str
    """Key of the published figures in ``expected.json``."""
    recipe: str
    """File of settings in the specification's folder, for the full profile."""
    datasets: tuple[str, ...] = CONFIGS
    """Which, by configuration."""
    groups: Literal["none", "uniqueness"] = "none"
    """Whether users are reported in halves by their uniqueness."""
    metrics: tuple[str, ...]
    """Columns; ``uvq`` is the number of distinct valid differences a user."""
    baseline: str
    """The row that others are tested against."""
    x_title: str = ""
    """Of the axis of ``lines``."""
    notes: tuple[str, ...] = ()
    """What a reader must know."""
    rows: tuple[Row, ...] = Field(min_length=1)
    """In the order of the paper."""

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [row.name for row in self.rows]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two rows are called {twice!r}")
        if self.baseline not in names:
            raise ValueError(f"no row is called {self.baseline!r}, the baseline")
        if unknown := set(self.datasets) - set(CONFIGS):
            raise ValueError(f"unknown data set {min(unknown)!r}: {suggest(min(unknown), CONFIGS)}")
        return self


class Profile(Config):
    """Where and how large a table is run."""

    name: ProfileName
    worlds: dict[str, WorldConfig] = Field(default_factory=dict)
    """Made-up worlds by the data set that each replaces; empty: reviews of your own, or the published data."""
    corpus: str = ""
    """Title of reviews of your own, which are then the only data set of every table; empty: the paper's data sets."""
    source: str = "hf://SnowCharmQ/DPL-main"
    """The published reviews, with their own train, validation and test targets: a folder, or a data set of the hub.
    With ``corpus``: reviews in any format that ``ingest`` reads."""
    items: str = "hf://SnowCharmQ/DPL-meta"
    """The published items, or those of your own reviews (may be empty)."""
    split: dict[str, Any] = Field(default_factory=dict)
    """Thresholds of the split of made-up worlds and of reviews of your own, on the preset ``small``."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Of every row: in the sandbox below the row's own, in full above the recipe and the row."""
    first_stage: dict[str, Any] | None = None
    """Settings under which adapters are fitted without the text of past reviews; those for prompts with text go on from
    there. None: every adapter is fitted once, from scratch."""
    seeds: tuple[int, ...] = Field(default=(42,), min_length=1)
    """Of training, sampling and draws; every row is run with each of them."""
    metrics: tuple[str, ...] = ()
    """Further columns."""

    @property
    def data(self) -> dict[str, Any]:
        """What the store and the split depend on."""
        shown = self.model_dump(mode="json")
        if self.corpus:
            made: tuple[str, ...] = ("corpus", "source", "items", "split")
        else:
            made = ("worlds", "split") if self.worlds else ("source", "items")
        return {name: shown[name] for name in made}

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.corpus and self.worlds:
            raise ValueError("a corpus of your own takes the place of made-up worlds: give one of them")
        if self.corpus and self.source == Profile.model_fields["source"].default:
            raise ValueError("corpus needs source=FILE with its reviews, and items=FILE if there are any")
        if "," in self.corpus:
            raise ValueError("the title of a corpus has no comma: it heads a table, before the name of a group")
        return self


def _world(seed: int, domain: str) -> dict[str, Any]:
    size = {"n_users": 60, "n_items": 44, "reviews_per_user": (9, 13), "user_sd": 5.0}
    return {"seed": seed, "domains": [domain], **size}


_SANDBOX: Mapping[str, Any] = {
    "name": "sandbox",
    "worlds": {
        "Books": _world(41, "books"),
        "Movies_and_TV": _world(42, "films"),
        "CDs_and_Vinyl": _world(43, "albums"),
    },
    "split": {"min_profile": 4, "train": 3},
    "settings": {
        "encoder": "style",
        "backbone": {"model": "sandbox", "max_prompt_tokens": 768, "batch_size": 32},
        "adapter": {"d_sae": 48},
        "context": {"k": 3},
        "controls": [],
        "negative_controls": False,
        "methods": [],
        "targets": {"train_per_user": "all", "max_validation": 12, "max_test": 60},
        "fit": {"max_steps": 12, "learning_rate": 3e-3, "metric": "nll", "batch_size": 8},
        "sampling": {"max_new_tokens": 80},
    },
    "first_stage": {"prompt": {"with_text": False}, "fit": {"max_steps": 60, "learning_rate": 5e-3}},
    "seeds": [0],
    "metrics": ["nll"],
}


def profile(name: str, changes: Mapping[str, Any] | None = None) -> Profile:
    """The profile called ``name`` with ``changes`` laid on top.

    Raises:
        NotFoundError: There is none.
        ConfigError: A setting is unknown or wrong.
    """
    known: Mapping[str, Mapping[str, Any]] = {"sandbox": _SANDBOX, "full": {"name": "full"}}
    if name not in known:
        raise NotFoundError(f"unknown profile {name!r}", hint=suggest(name, known))
    base = known[name]
    if (changes or {}).get("corpus"):
        base = {**base, "worlds": {}, "split": {}, "items": ""}
    return build(Profile, merge(base, changes or {}), where=f"profile {name!r}")


def tables() -> dict[str, Path]:
    """The shipped specifications by name (``dep/table-1``)."""
    found = sorted(path for pattern in ("*/table-*.yaml", "*/figure-*.yaml") for path in recipes().glob(pattern))
    return {f"{path.parent.name}/{path.stem}": path for path in found}


def load_table(recipe: str) -> tuple[str, TableSpec, Path]:
    """The specification that is meant.

    Args:
        recipe: A shipped one's name (``dep/table-1``), or a YAML file.

    Returns:
        Its name for files, the specification, and the folder of its recipes.

    Raises:
        NotFoundError: There is none.
        ConfigError: It is not one.
    """
    known = tables()
    path = known.get(recipe.removesuffix(".yaml"), Path(recipe))
    if not path.is_file():
        raise NotFoundError(f"no table {recipe!r}", hint=suggest(recipe, known) if known else "name a YAML file")
    parents = {resolved.resolve(): name for name, resolved in known.items()}
    name = parents.get(path.resolve(), path.stem)
    return name, build(TableSpec, read_yaml(path), where=str(path)), path.parent


def row_settings(spec: TableSpec, row: Row, profile: Profile, folder: Path, seed: int) -> Settings | None:
    """The settings of a row under a profile and seed; None where it is not run.

    Raises:
        ConfigError: A setting is unknown or wrong.
    """
    own = row.sandbox if profile.name == "sandbox" else row.full
    if row.method is None or own is None:
        return None
    laid = merge(row.settings, own)
    base = dict(profile.settings) if profile.name == "sandbox" else read_yaml(folder / (row.recipe or spec.recipe))
    if "adapter_method" in laid:  # another kind of adapter has other settings
        base.pop("adapter", None)
    base = merge(base, laid)
    if profile.name == "full":
        base = merge(base, profile.settings)
    drawn = {"seed": seed, "sampling": {"seed": seed}, "fit": {"seed": seed}}
    return build(Settings, merge(base, drawn), where=f"row {row.name!r}")


def rows_of(spec: TableSpec, profile: Profile, folder: Path) -> Iterator[tuple[Row, int, Settings]]:
    """Every row that is run, with each seed and its settings."""
    for row in spec.rows:
        for seed in profile.seeds:
            settings = row_settings(spec, row, profile, folder, seed)
            if settings is not None:
                yield row, seed, settings


Published = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Row to data set to metric to figure."""


@cache
def expected() -> dict[str, dict[str, Any]]:
    """The papers' figures by table: ``source`` and ``rows``. What is not in them is not available."""
    text = resources.files("idiolect.experiments.tables").joinpath("expected.json").read_text(encoding="utf-8")
    return json.loads(text)


def published(spec: TableSpec) -> tuple[str, Published]:
    """Where a table's figures were published, and the figures; none where they are not available."""
    found = expected().get(spec.expected, {"source": "not available", "rows": {}})
    return found["source"], found["rows"]
