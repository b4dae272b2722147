"""The whole comparison on a new corpus by one command, with sizes chosen from the corpus.

Reviews in; then a split, vectors of style, a small backbone pretrained on the corpus (no target of the split is read),
an adapter fitted without the text of past reviews, others fitted on from it with the text of one, two or four of them
(validation targets choose), and both passes evaluated with their controls. Every step is resumable, so the same command
resumes an interrupted run. The protocol is in ``docs/real.md``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from idiolect.data.output_files import atomic_write
from idiolect.data.split import Split
from idiolect.encoders import load_encoder
from idiolect.errors import IdiolectError, MissingDependencyError
from idiolect.evaluation.cache_model import CacheGains, cache_gains
from idiolect.evaluation.result import Evaluation
from idiolect.evaluation.user_attribution import UserAttribution, vector_attribution
from idiolect.experiments.real.conclusions import conclusions, weakness
from idiolect.experiments.real.config import RealConfig, Sizes
from idiolect.experiments.real.corpus import ENOUGH_USERS, Corpus, split_corpus
from idiolect.experiments.real.costs import Cost, Costs
from idiolect.experiments.real.page import Findings, Words, page_text
from idiolect.experiments.real.stages import Runs, Say, evaluated
from idiolect.experiments.real.summary import Summary
from idiolect.pipeline import results
from idiolect.pipeline.data import Data
from idiolect.pipeline.pretraining import pretraining_reviews
from idiolect.pipeline.settings import Settings
from idiolect.prompts.rendering import even_limit
from idiolect.prompts.template_sandbox import beginning
from idiolect.store.embedding import embed_store
from idiolect.store.ingestion import ingest_files
from idiolect.store.outputs import check_own
from idiolect.store.sql import SqlStore
from idiolect.version import __version__

PAGE = "real.md"
RECORD = "real.json"
FIGURE = "real.svg"
COST = "cost.json"
_CLAIM, _STORE, _SPLIT = "claim.json", "reviews.db", "split"
_USERS_COMPARED = 2000
"""Most test users whose vectors are compared with each other's."""
_FOREIGN = "False (most texts are not in English, and only English is measured)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RealReport:
    """What a study found."""

    findings: Findings
    page: Path
    record: Mapping[str, Any]
    """The gains and what controls lose of them, conclusions, warnings and what was chosen, as plain data; also in the
    study's folder (``real.json``)."""
    costs: Mapping[str, Cost]
    """Seconds of each stage, over all calls."""
    seconds: float
    """Of this call."""

    @property
    def evaluations(self) -> Mapping[str, Evaluation]:
        """Of the first seed, by pass (``without text``, ``with text``)."""
        return self.findings.evaluations

    @property
    def conclusions(self) -> tuple[str, ...]:
        """What the study shows, in sentences; empty if there are too few users for any."""
        return self.findings.conclusions

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the figures say less than they seem to; they stand at the head of the page."""
        return self.findings.warnings

    @property
    def text(self) -> str:
        """The page, as Markdown."""
        return self.page.read_text(encoding="utf-8")

    def _repr_markdown_(self) -> str:
        return self.text


def run_real(
    folder: Path,
    corpus: str | Path,
    *,
    items: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    config: RealConfig | None = None,
    say: Say,
    progress: bool = False,
) -> RealReport:
    """Run the study; a second call with the same folder resumes it.

    Args:
        folder: Gets store, split, backbone, adapters, results and the page.
        corpus: Reviews in any format that ``ingest`` reads.
        items: Items, for titles and descriptions; None: there are none, or the reviews hold them.
        columns: Columns of the fields, if they are not found by their names.
        config: Budget; None: the defaults.
        say: Called with a line per step.
        progress: Show bars.

    Raises:
        InputError: The corpus cannot be read, or no user has enough reviews.
        ConfigError: There is no such task, or ``folder`` holds another study or other files.
    """
    config, started = config or RealConfig(), time.monotonic()
    config.check_available()
    check_own(folder, "study")
    _claim(folder, config, corpus, items, columns)
    costs = Costs(folder / COST)
    say("1/6  reading the reviews")
    how: dict[str, Any] = {"items": items, "columns": columns, "progress": progress}
    found = _read(folder, corpus, config, costs, **how)
    say(f"2/6  {found.n_users} users; computing vectors ({config.encoder})")
    for warning in found.warnings:  # before the hours that a backbone takes
        say(f"warning: {warning}")
    runs = _runs(folder, config, found, costs, progress)
    with costs.stage("vectors", output=folder / "backbone"):
        embed_store(runs.store, config.encoder, split=runs.split, peers="split", progress=progress)
    say(f"3/6  pretraining a backbone on {config.pretrain_tokens / 1e6:.1f} M tokens (no target is read)")
    annotate = config.annotate and found.is_english
    backbone = runs.pretrain(annotate=annotate)
    evaluations, outputs, choice = evaluated(runs, say)
    say("6/6  writing the page")
    with costs.stage("words and vectors of users, without a language model"):
        words = Words(*(_personal_words(runs, newest=number) for number in (None, choice.shown)))
        attributed = _attribution(runs)
    summary = Summary(outputs, choice)
    findings = Findings(
        evaluations=evaluations,
        summary=summary,
        words=words,
        attributed=attributed,
        backbone=backbone,
        warnings=tuple(filter(None, (*found.warnings, weakness(summary.history_gain(), words.shown, choice.shown)))),
        conclusions=tuple(conclusions(summary, evaluations)) if summary.n_users >= ENOUGH_USERS else (),
    )
    facts = _facts(Path(str(corpus)).name, config, found, choice.shown, annotate=annotate)
    record = _written(folder, findings, facts, costs)
    return RealReport(
        findings=findings,
        page=folder / PAGE,
        record=record,
        costs=costs.stages,
        seconds=time.monotonic() - started,
    )


def _written(folder: Path, found: Findings, facts: Mapping[str, Any], costs: Costs) -> dict[str, Any]:
    """Write page, figure and record; returns the record."""
    record = {
        "version": __version__,
        "chosen": dict(facts),
        "warnings": list(found.warnings),
        "conclusions": list(found.conclusions),
        "gains": found.summary.to_dict(),
        "verdicts": found.summary.verdicts(found.evaluations),
    }
    results.write_json(folder / RECORD, record)
    (folder / FIGURE).unlink(missing_ok=True)
    try:
        drawn = found.summary.draw(folder / FIGURE)
    except MissingDependencyError:  # of the extra that draws: the page has the same figures as a table
        drawn = False
    text = page_text(found, facts, costs, figure=FIGURE if drawn else None)
    atomic_write(folder / PAGE, lambda file: Path(file).write_text(text, encoding="utf-8"))
    return record


def _claim(
    folder: Path, config: RealConfig, corpus: str | Path, items: str | Path | None, columns: Mapping[str, str] | None
) -> None:
    """Mark the folder as that of this study, or refuse one that holds another."""
    depends = {"config": config.identity, "corpus": str(corpus), "items": str(items or "")}
    depends |= {"version": __version__, "backbone": "of its own"}
    if columns:  # read once more in other columns, every review would be in the store twice
        depends["columns"] = dict(columns)
    results.claim(folder / _CLAIM, depends, "study", RealConfig)


def _read(folder: Path, corpus: str | Path, config: RealConfig, costs: Costs, **how: Any) -> Corpus:
    """Ingest and split."""
    store, split = folder / _STORE, folder / _SPLIT
    try:
        with costs.stage("reading", output=split):
            ingest_files(corpus, store=str(store), rejects=folder / "rejects.jsonl", **how)
            return split_corpus(str(store), split, config)
    except IdiolectError:
        if not store.exists():  # nothing was read: the same folder serves for the corpus that was meant
            for path in (folder / _CLAIM, folder / COST):
                path.unlink(missing_ok=True)
        raise


def _runs(folder: Path, config: RealConfig, found: Corpus, costs: Costs, progress: bool) -> Runs:
    return Runs(
        folder=folder,
        store=str(folder / _STORE),
        split=folder / _SPLIT,
        config=config,
        sizes=found.sizes,
        n_targets=found.split.counts.test,
        costs=costs,
        progress=progress,
    )


def _facts(corpus: str, config: RealConfig, found: Corpus, shown: int, *, annotate: bool) -> dict[str, Any]:
    """What the page says of choices and budget: the settings that everybody has, and others if they are used."""
    usual = RealConfig()
    rare = {"task", "authorship", "text_judge"}
    left_out = {name for name in rare if getattr(config, name) == getattr(usual, name)}
    settings = config.model_dump(mode="json", exclude=left_out)
    settings |= {"text_judge": config.judge_name} if config.judge_name else {}
    settings |= {"shown": shown, "max_reviews": found.sizes.read(config.max_reviews)}
    settings["annotate"] = annotate or (config.annotate and _FOREIGN)
    return {"corpus": corpus, "users": found.n_users, **found.filters, **found.sizes.named(), **settings}


def _personal_words(runs: Runs, newest: int | None = None) -> CacheGains:
    """With the reviews that the backbone reads as the corpus, and targets as it is asked for them.

    Args:
        runs: Of the study.
        newest: So many past texts of each user, as prompts show them: the newest before the validation target, training
            targets included. None: all of the profile.
    """
    config, sizes = runs.config, runs.sizes
    with SqlStore(runs.store, create=False) as database, TemporaryDirectory() as work:
        split = Split.load(runs.split, fingerprint=database.fingerprint())
        background = pretraining_reviews(database, split, sizes.read(config.max_reviews), config.seed, work=Path(work))
        history = database.reviews(split.ids("profile") if newest is None else split.ids("profile", "train"))
        targets = [database.reviews(split.ids(role)) for role in ("validation", "test")]
    past: dict[str, list[str]] = {}
    for review in history:  # of each user, oldest first
        past.setdefault(review.user, []).append(review.text)
    shown = past if newest is None else {user: _as_shown(texts[-newest:], sizes) for user, texts in past.items()}
    asked = ([(one.user, beginning(one.text, sizes.target_chars)) for one in reviews] for reviews in targets)
    validation, test = asked
    return cache_gains((review.text for review in background), shown, validation, test, seed=config.seed)


def _as_shown(texts: list[str], sizes: Sizes) -> list[str]:
    """Past texts as prompts show them."""
    if sizes.history_chars is None:
        return texts
    limit = even_limit([len(text) for text in texts], sizes.history_chars)
    return texts if limit is None else [beginning(text, limit) for text in texts]


def _attribution(runs: Runs) -> dict[int, dict[str, UserAttribution]]:
    """How well the vectors that DEP reads identify the users, by the number of past reviews."""
    found: dict[int, dict[str, UserAttribution]] = {}
    encoder = load_encoder(runs.config.encoder)
    changes = runs.settings(shown=0, with_text=True)
    with SqlStore(runs.store, create=False) as database:
        for number in sorted({*runs.config.shown, runs.config.k}):
            compared = {"targets": {"max_test": _USERS_COMPARED}, "context": {"k": number}}
            settings = Settings.model_validate(changes | compared)
            found[number] = vector_attribution(Data(database, runs.split, settings, encoder=encoder))
    return found
