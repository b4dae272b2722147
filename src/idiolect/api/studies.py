"""Whole comparisons in one call, the made-up world they can run in, and small models pretrained for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idiolect.api.store import Store, path_of
from idiolect.config import load
from idiolect.errors import InputError, require

if TYPE_CHECKING:
    from idiolect.experiments.demo import DemoReport
    from idiolect.experiments.real.run import RealReport
    from idiolect.experiments.study.run import StudyReport
    from idiolect.store.base import AddReport
    from idiolect.training.config import PretrainReport

Say = Callable[[str], None]


def demo(
    out: str | Path = "idiolect-demo",
    *,
    config: str | Path | None = None,
    say: Say | None = None,
    progress: bool = False,
    **changes: Any,
) -> DemoReport:
    """Run the whole thing on a small made-up world; without PyTorch, what needs no model.

    No network, no GPU, a few minutes. Without PyTorch, or another package of the extras ``train`` and ``metrics``, the
    steps that need no language model are run: the world, vectors of style, and how users differ. With them the same
    call continues.

    Args:
        out: Where store, adapter, samples and report go. Interrupted, call again.
        config: YAML file of settings.
        say: Called with a line per step; None: nothing is said.
        progress: Show bars.
        **changes: Fields of ``idiolect.experiments.demo.DemoConfig`` (``world={"n_users": 400}``).

    Returns:
        ``.evaluation`` with its ``.table()`` and ``.report``, ``.fits``, one user's card and texts (``.example``), and
        how much of the users' true habits their vectors hold (``.recovery``). ``.evaluation`` and ``.fits`` are None if
        they were not run; ``.missing`` then says what is not installed.

    Raises:
        ConfigError: A setting is wrong, or ``out`` holds another demo or other files.

    Example:
        >>> demo(say=print).evaluation.table()  # doctest: +SKIP
    """
    from idiolect.experiments.demo import DemoConfig, run_demo

    chosen = load(DemoConfig, _file(config), changes, base=DemoConfig().model_dump())
    return run_demo(Path(out), chosen, say=say or silent, progress=progress)


def make_world(
    store: Store | str | Path, *, truth: str | Path | None = None, config: str | Path | None = None, **changes: Any
) -> AddReport:
    """Fill a store with a made-up world of users, items and reviews whose differences are known.

    Args:
        store: Made if absent.
        truth: File for the true effects (``.npz``); None: they are not saved.
        config: YAML file of settings.
        **changes: Fields of ``idiolect.sandbox.domain.WorldConfig`` (``n_users=1000, seed=7``).

    Returns:
        How many reviews and items were added.

    Raises:
        ConfigError: A setting is wrong, the store knows users by pseudonyms, or ``truth`` is another kind of file.

    Example:
        >>> make_world("world.db", n_users=100, seed=7)  # doctest: +SKIP
    """
    from idiolect.experiments.world import store_world
    from idiolect.sandbox.domain import WorldConfig

    return store_world(path_of(store), load(WorldConfig, _file(config), changes), truth=_file(truth))


def pretrain(
    store: Store | str | Path,
    out: str | Path,
    *,
    split: str | Path | None = None,
    truth: str | Path | None = None,
    annotate: bool = False,
    config: str | Path | None = None,
    progress: bool = False,
    **changes: Any,
) -> PretrainReport:
    """Train a small language model and its tokenizer from scratch on a store's reviews, in the library's own prompts.

    Args:
        store: The reviews.
        out: Folder of the model; an interrupted run is resumed from its last checkpoint.
        split: Folder of a split whose targets are kept out of the text.
        truth: Ground truth of a made-up world, for the prompt formats that show a user's profile.
        annotate: Describe users and reviews from the measures of style, for these formats (English).
        config: YAML file of settings.
        progress: Show bars.
        **changes: Fields of ``idiolect.training.config.PretrainConfig`` (``size="9m", max_steps=2000``).

    Raises:
        NotFoundError: There is no store.
        ArtifactError: The split is of another state of the store.
        ConfigError: A setting is wrong, or ``out`` holds a model of another recipe.
    """
    from idiolect.pipeline.commands import pretrain_backbone

    places = {name: None if path is None else Path(path) for name, path in
              (("split", split), ("truth", truth), ("config", config))}  # fmt: skip
    return pretrain_backbone(path_of(store), Path(out), **places, annotate=annotate, changes=changes, progress=progress)


def study_sandbox(
    out: str | Path = "idiolect-study",
    *,
    jobs: int = 1,
    config: str | Path | None = None,
    say: Say | None = None,
    **changes: Any,
) -> StudyReport:
    """Measure in made-up worlds, whose ground truth is known, whether differences identify a user; hours.

    Args:
        out: Folder of the study. Interrupted, call again.
        jobs: Seeds that are run at once, each in a process of its own.
        config: YAML file of settings.
        say: Called with a line per step; None: nothing is said.
        **changes: Fields of ``idiolect.experiments.study.config.StudyConfig`` (``seeds=(1, 2)``).

    Returns:
        ``.sections`` for readers, and the ``.record`` that ``study.json`` holds.

    Raises:
        ConfigError: A setting is wrong, ``out`` holds another study or other files, or the sanity check fails.
    """
    require("torch", extra="all")
    from idiolect.experiments.study.config import StudyConfig
    from idiolect.experiments.study.run import run_study

    chosen = load(StudyConfig, _file(config), changes, base=StudyConfig().model_dump())
    return run_study(Path(out), chosen, jobs=jobs, say=say or silent)


def study_real(
    corpus: str | Path,
    *,
    items: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    out: str | Path = "idiolect-study",
    config: str | Path | None = None,
    say: Say | None = None,
    progress: bool = False,
    **changes: Any,
) -> RealReport:
    """Compare all methods and controls on a corpus, with a small backbone pretrained on it; hours on two cores.

    Filters, lengths and sizes are chosen from the corpus. Titles, ratings, times and texts of items may be missing.

    Args:
        corpus: Path of the reviews, in any format that ``Store.add`` reads.
        items: Path of the items, for titles and descriptions; None if there are none, or the reviews hold them.
        columns: The column of a field (``{"text": "body"}``) that is not found by its name.
        out: Folder of the study. Interrupted, call again.
        config: YAML file of settings.
        say: Called with a line per step; None: nothing is said.
        progress: Show bars.
        **changes: Budget (``pretrain_tokens=1_000_000``, ``steps=(60, 40)``, ``seed=1``): the fields of
            ``idiolect.experiments.real.config.RealConfig``.

    Returns:
        ``.conclusions`` in sentences, ``.page`` and its ``.text``, ``.record`` (gains, controls and choices as plain
        data), ``.evaluations`` (by pass: DEP without and with the text of past reviews) and ``.warnings``.

    Raises:
        InputError: The corpus cannot be read, or no user has enough reviews.
        ConfigError: A setting is wrong, or ``out`` holds another study or other files.

    Example:
        >>> print(study_real("reviews.jsonl", out="my-study").text)  # doctest: +SKIP
    """
    if not isinstance(corpus, (str, Path)):
        raise InputError(
            f"corpus is a {type(corpus).__name__}, not a path", hint="write the reviews to a file (JSON lines, Parquet)"
        )
    require("torch", extra="all")
    from idiolect.experiments.real.config import RealConfig
    from idiolect.experiments.real.run import run_real

    chosen = load(RealConfig, _file(config), changes)
    return run_real(
        Path(out), corpus, items=items, columns=columns, config=chosen, say=say or silent, progress=progress
    )


def _file(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def silent(line: str) -> None:
    """Says nothing."""
