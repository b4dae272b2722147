"""The whole comparison on a new corpus by one command, with sizes chosen from the corpus.

Reviews in; then a split, vectors of style, a small backbone pretrained on the corpus (no target of the split is read),
an adapter fitted without the text of past reviews, one fitted on from it with that text, and both evaluated with their
controls. Every step is resumable, so the same command resumes an interrupted run. The protocol is in
``docs/real.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from pydantic import Field

from idiolect.config import Config
from idiolect.data.files import atomic_write
from idiolect.data.split import Split, make_split
from idiolect.data.split_config import SplitConfig
from idiolect.difference.stylometry.english import are_english
from idiolect.errors import InputError
from idiolect.evaluation.attribution import sentences
from idiolect.evaluation.render import to_markdown
from idiolect.evaluation.runner import run_evaluate
from idiolect.evaluation.scoring import NLL, Evaluation
from idiolect.methods.base import ADAPTER_METHOD, BASELINE, UNPERSONALIZED, requirements
from idiolect.methods.controls import WRONG_USER
from idiolect.pipeline import results
from idiolect.pipeline.commands import pretrain_backbone, run_fit
from idiolect.planning import announce
from idiolect.store.embedding import embed_store
from idiolect.store.ingestion import ingest_files
from idiolect.store.outputs import check_own
from idiolect.store.splitting import split_store
from idiolect.store.sql import SqlStore
from idiolect.training.config import PretrainReport, Size
from idiolect.training.pretrain import train_tokenizer
from idiolect.types import ConditionId
from idiolect.version import __version__

Say = Callable[[str], None]
PAGE = "real.md"
PASSES = ("without text", "with text")
"""Prompts of the method with an adapter: soft prompts alone; soft prompts and the text of past reviews."""

_FILTERS = tuple(
    {"min_user_reviews": reviews, "min_item_users": users, "min_text_chars": chars, "min_profile": profile}
    for reviews, users, chars, profile in (
        (16, 5, 100, 6),
        (12, 5, 100, 5),
        (10, 5, 100, 4),
        (10, 4, 50, 4),
        (8, 4, 50, 4),
        (8, 3, 30, 3),
        (6, 3, 20, 3),
        (6, 2, 1, 2),
    )
)
"""Filters from strict to lenient: the first that leaves enough users is used."""
_ENTRY_TOKENS = 24
"""Of a past review's heading, title and rating, with a tokenizer trained on the corpus."""
_SLOT_TOKENS = 8
"""Of a past review's two virtual tokens, or of the words in their place."""
_SCAFFOLD_TOKENS = 200
"""Of a prompt's headings, instructions, titles and fields, with such a tokenizer."""
_VOCAB_SIZE = 4096
_MAX_DESCRIPTION_TOKENS = 512
"""Descriptions in a script with many tokens per character are cut shorter."""
_TEXTS_MEASURED = 4000
"""Reviews, and descriptions, that are tokenized to choose budgets."""
_TOKENS_PER_STEP = 4096


class RealConfig(Config):
    """Budget of a study on real reviews. The defaults are meant for about three hours on two cores."""

    encoder: str = "style"
    """Whose vectors are used; ``style+minilm`` joins style and meaning."""
    enough_users: int = Field(default=200, gt=0)
    """The strictest filters that leave so many users are used."""
    size: Size = "3m"
    """Shape of the backbone."""
    pretrain_tokens: int = Field(default=5_000_000, gt=0)
    """Tokens that the backbone reads, about."""
    max_reviews: int | None = Field(default=60_000, gt=0)
    """Reviews that the backbone is pretrained on, of users drawn at random; None: all."""
    k: int = Field(default=12, gt=0)
    """Past reviews whose vectors DEP reads."""
    shown: int = Field(default=4, gt=0)
    """Past reviews whose text a prompt shows, of every method."""
    annotate: bool = True
    """Describe style in words, from its measures, in the backbone's documents (English corpora)."""
    steps: tuple[int, int] = (500, 200)
    """Optimiser steps of 8 samples without and with the text of past reviews."""
    max_test: int = Field(default=120, gt=0)
    """Test users."""
    seed: int = Field(default=0, ge=0)
    """Of backbone, adapters and bootstrap; every seed needs a folder of its own."""


class Sizes(NamedTuple):
    """Lengths in tokens, from the lengths of a corpus's reviews."""

    prompt: int
    """Longest prompt."""
    review: int
    """Longest review that the backbone learns from and writes."""
    held_out: int
    """Documents on which the backbone's perplexity is measured."""
    description_chars: int
    """Longest item description that a prompt shows, in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealReport:
    """What a study found."""

    evaluations: Mapping[str, Evaluation]
    """By pass (``PASSES``)."""
    backbone: PretrainReport
    page: Path
    warnings: tuple[str, ...]
    """What makes the figures say less than they seem to; they stand at the head of the page."""
    seconds: float
    """Of this call."""

    @property
    def text(self) -> str:
        """The page, as Markdown."""
        return self.page.read_text(encoding="utf-8")

    def _repr_markdown_(self) -> str:
        return self.text


def choose_filters(reviews: pl.DataFrame, items: pl.DataFrame, enough: int) -> dict[str, Any]:
    """The strictest filters that leave ``enough`` users; if none do, those that leave the most.

    Args:
        reviews: Table of ``REVIEW_SCHEMA``.
        items: Table of ``ITEM_SCHEMA``.
        enough: Users.

    Returns:
        Changes of the preset ``small``: four training targets per user, as far as the profiles allow.

    Raises:
        InputError: No filters leave any user.
    """
    best: tuple[int, dict[str, Any]] | None = None
    for filters in _FILTERS:
        train = max(1, min(4, filters["min_user_reviews"] - filters["min_profile"] - 2))
        changes = {**filters, "train": train, "min_peers": min(3, filters["min_item_users"])}
        try:
            users = len(make_split(reviews, items, SplitConfig.preset("small", **changes)).users)
        except InputError:
            continue
        if best is None or users > best[0]:
            best = users, changes
        if users >= enough:
            break
    if best is None:
        raise InputError(
            "no user has enough reviews of items that others reviewed too",
            hint="the study needs users with 6 reviews and items with 2 users at least",
        )
    return best[1]


def choose_sizes(texts: Sequence[str], descriptions: Sequence[str], k: int, shown: int | None = None) -> Sizes:
    """Budgets for prompts of ``k`` past reviews and for a review, in tokens of a tokenizer trained on the texts.

    An item's description gets at most the room of two reviews, so that long descriptions with short reviews do not
    take most of what a small backbone reads.

    Args:
        texts: Reviews; a sample of them is tokenized.
        descriptions: Of the items; may be empty.
        k: Past reviews in a prompt.
        shown: Those of them whose text is shown; None: all.
    """
    shown = k if shown is None else min(k, shown)
    texts, descriptions = _sample(texts), _sample(descriptions)
    chars = int(np.clip(2 * np.quantile([len(text) for text in texts], 0.75), 200, 1000))
    starts = [description[:chars] for description in descriptions]
    tokenizer = train_tokenizer([*texts, *starts], vocab_size=_VOCAB_SIZE)
    lengths = _lengths(tokenizer, texts)
    described = int(_lengths(tokenizer, starts).max(initial=0))
    if described > _MAX_DESCRIPTION_TOKENS:
        chars = chars * _MAX_DESCRIPTION_TOKENS // described
        described = _MAX_DESCRIPTION_TOKENS
    past = min(400.0, float(np.quantile(lengths, 0.75)) + _ENTRY_TOKENS)
    return Sizes(
        prompt=int(np.clip(_SCAFFOLD_TOKENS + described + shown * past + _SLOT_TOKENS * k, 384, 1536)),
        review=int(np.clip(np.quantile(lengths, 0.9), 48, 320)),
        held_out=int(np.clip(len(texts) // 20, 4, 200)),
        description_chars=chars,
    )


def _sample(texts: Sequence[str]) -> list[str]:
    step = max(1, len(texts) // _TEXTS_MEASURED)
    return list(texts[::step])


def _lengths(tokenizer: Any, texts: list[str]) -> np.ndarray:
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    return np.array([len(row) for row in ids], dtype=np.int64)


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
        ConfigError: ``folder`` holds another study or other files.
    """
    config, started = config or RealConfig(), time.monotonic()
    check_own(folder, "study")
    depends = {"config": config.model_dump(mode="json"), "corpus": str(corpus), "items": str(items or "")}
    depends |= {"version": __version__, "backbone": "of its own"}
    results.claim(folder / "claim.json", depends, "study", RealConfig)
    store, split = str(folder / "reviews.db"), folder / "split"
    say("1/6  reading the reviews")
    ingest_files(corpus, store=store, items=items, columns=columns, rejects=folder / "rejects.jsonl", progress=progress)
    filters, sizes, n_users = _split(store, split, config)
    say(f"2/6  {n_users} users; computing vectors ({config.encoder})")
    embed_store(store, config.encoder, split=split, peers="split", progress=progress)
    say(f"3/6  pretraining a backbone on {config.pretrain_tokens / 1e6:.1f} M tokens (no target is read)")
    annotate = config.annotate and _is_english(store)
    recipe = _pretraining(config, sizes, annotate=annotate)
    backbone = pretrain_backbone(
        store, folder / "backbone", split=split, annotate=annotate, changes=recipe, progress=progress
    )
    evaluations: dict[str, Evaluation] = {}
    initial: Path | None = None
    for number, (name, steps) in enumerate(zip(PASSES, config.steps, strict=True), start=4):
        adapter = folder / f"adapter {name}".replace(" ", "-")
        say(f"{number}/6  fitting and evaluating {requirements(ADAPTER_METHOD).title} {name} of past reviews")
        changes = _settings(config, sizes, folder / "backbone", with_text=name == PASSES[1], steps=steps)
        run_fit(
            store,
            split,
            adapter,
            changes=changes,
            initial=initial,
            progress=progress,
            before=announce("fit", shown=progress),
        )
        out = folder / f"results {name}".replace(" ", "-")
        evaluations[name] = run_evaluate(
            store, split, out, adapter=adapter, progress=progress, before=announce("evaluate", shown=progress)
        )
        initial = adapter
    say("6/6  writing the page")
    page = folder / PAGE
    facts = {"corpus": Path(str(corpus)).name, "users": n_users, **filters, **sizes._asdict()}
    warnings = tuple(filter(None, [weakness(evaluations[PASSES[1]])]))
    text = _page(config, facts, backbone, evaluations, warnings)
    atomic_write(page, lambda file: Path(file).write_text(text, encoding="utf-8"))
    seconds = time.monotonic() - started
    return RealReport(evaluations=evaluations, backbone=backbone, page=page, warnings=warnings, seconds=seconds)


def _split(store: str, folder: Path, config: RealConfig) -> tuple[dict[str, Any], Sizes, int]:
    """Filters, lengths and users; the split is saved in ``folder`` unless it is there."""
    with SqlStore(store, create=False) as database:
        reviews, items, fingerprint = database.review_frame(), database.item_frame(), database.fingerprint()
    filters = choose_filters(reviews, items, config.enough_users)
    if not folder.is_dir():
        split_store(store, folder, preset="small", changes=filters)
    split = Split.load(folder, fingerprint=fingerprint)
    sizes = choose_sizes(reviews["text"].to_list(), items["description"].drop_nulls().to_list(), config.k, config.shown)
    return filters, sizes, len(split.users)


def _is_english(store: str) -> bool:
    """Most of a sample of the reviews."""
    with SqlStore(store, create=False) as database:
        return bool(are_english(_sample(database.review_frame()["text"].to_list())).mean() > 0.5)


_SHARES: Mapping[bool, Mapping[str, float]] = {
    False: {UNPERSONALIZED: 0.15, BASELINE: 0.35, ADAPTER_METHOD: 0.5},
    True: {UNPERSONALIZED: 0.12, BASELINE: 0.3, ADAPTER_METHOD: 0.46, "drp": 0.04, "primer_words": 0.08},
}
"""Formats of the backbone's documents, without and with descriptions of style."""


def _pretraining(config: RealConfig, sizes: Sizes, *, annotate: bool) -> dict[str, Any]:
    """The backbone reads all prompts that it is asked with, those without the text of past reviews included."""
    return {
        "size": config.size,
        "vocab_size": _VOCAB_SIZE,
        "documents": {
            "shares": dict(_SHARES[annotate]),
            "max_history": config.k,
            "max_shown": config.shown,
            "textless_share": 0.4,
            "grouped_share": 1.0,
            "description_chars": sizes.description_chars,
        },
        "max_tokens": sizes.prompt + sizes.review,
        "reference_tokens": sizes.review,
        "tokens_per_step": _TOKENS_PER_STEP,
        "max_steps": max(1, round(config.pretrain_tokens / _TOKENS_PER_STEP)),
        "max_reviews": config.max_reviews,
        "held_out": sizes.held_out,
        "seed": config.seed,
    }


def _settings(config: RealConfig, sizes: Sizes, backbone: Path, *, with_text: bool, steps: int) -> dict[str, Any]:
    return {
        "peers": "split",
        "encoder": config.encoder,
        "backbone": {"model": str(backbone), "max_prompt_tokens": sizes.prompt},
        "context": {"k": config.k},
        "prompt": {
            "layout": "grouped",
            "with_text": with_text,
            "max_shown": config.shown,
            "description_chars": sizes.description_chars,
        },
        "adapter": {"d_sae": 48},
        "extra_controls": ["nearest_twin", "item_crowd", "oracle"],
        "token_classes": True,
        "targets": {"max_validation": 60, "max_test": config.max_test, "train_per_user": "all"},
        "fit": {
            "max_steps": steps,
            "learning_rate": 0.003 if with_text else 0.005,
            "metric": "nll",
            "seed": config.seed,
        },
        "sampling": {"max_new_tokens": sizes.review, "seed": config.seed},
        "seed": config.seed,
    }


def weakness(found: Evaluation) -> str:
    """A warning if another user's history does not hurt RAG: the likelihoods then cannot tell persons apart.

    Returns:
        Empty if it hurts significantly, or if there are no likelihoods.
    """
    table = found.controls.get(ConditionId(BASELINE))
    names = [] if table is None else [column.name for column in table.columns]
    if table is None or NLL.name not in names:
        return ""
    rows = {row.condition: row.cells[names.index(NLL.name)] for row in table.rows}
    cell = rows.get(ConditionId(BASELINE, WRONG_USER))
    if cell is None or cell.versus is None or cell.versus.low > 0:
        return ""
    cost = cell.versus
    return (
        "The backbone is too weak to tell persons apart on this corpus. With another user's history RAG is only "
        f"{cost.difference:+.2f} nats per review worse [{cost.low:.2f}, {cost.high:.2f}], which may be chance. So a "
        "likelihood on this page cannot show that a gain is personal, nor that it is not. More text "
        "(pretrain_tokens), shorter item descriptions, or a larger or pretrained model would help."
    )


def _page(
    config: RealConfig,
    facts: Mapping[str, Any],
    backbone: PretrainReport,
    evaluations: Mapping[str, Evaluation],
    warnings: Sequence[str],
) -> str:
    """The study as Markdown: warnings and verdicts first, then tables, then what was chosen."""
    lines = [f"# Study on {facts['corpus']}", ""]
    for warning in warnings:
        lines += [f"**{warning}**", ""]
    for name, found in evaluations.items():
        lines += [f"## {requirements(ADAPTER_METHOD).title} {name} of past reviews", ""]
        lines += [f"- {sentence}" for sentence in sentences(found.verdicts)]
        lines += [f"- {sentence}" for sentence in [_against_baseline(found)] if sentence]
        lines += ["", to_markdown(found.methods), ""]
        for condition, table in found.controls.items():
            lines += [f"Controls of {condition}:", "", to_markdown(table), ""]
        if found.calibration:
            lines += ["Style between others' texts and the users' own:", "", found.calibration.to_markdown(), ""]
        if found.habits:
            lines += ["Habits where the user shows them, and where not:", "", found.habits.to_markdown(), ""]
        if found.token_classes:
            lines += ["Likelihood by class of token:", "", found.token_classes.to_markdown(), ""]
        lines += [f"- {note}" for note in found.notes] + [""]
    lines += [
        "## What was chosen",
        "",
        f"A backbone of {backbone.parameters / 1e6:.1f} M parameters was pretrained on this corpus for "
        f"{backbone.tokens_seen / 1e6:.2f} M tokens ({backbone.seconds:.0f} s). {_perplexity(backbone)} It read no "
        "target of the split. All likelihoods on this page are this small model's; none is comparable with another "
        "corpus's or with a published table.",
        "",
        *[f"- {name}: {value}" for name, value in {**facts, **config.model_dump(mode="json")}.items()],
        "",
    ]
    return "\n".join(lines)


def _perplexity(backbone: PretrainReport) -> str:
    whole = f"{backbone.held_out_perplexity:.1f} over whole documents, prompts included"
    own = backbone.held_out_review_perplexity
    if own is None:
        return f"Its perplexity per token on held-out documents is {whole}."
    return f"Its perplexity per token of held-out reviews, given their prompts, is {own:.1f} ({whole})."


def _against_baseline(found: Evaluation) -> str:
    """How much the soft prompts gain over the baseline, in nats per review; empty without likelihoods."""
    names = [column.name for column in found.methods.columns]
    if NLL.name not in names:
        return ""
    rows = {row.condition: row.cells[names.index(NLL.name)] for row in found.methods.rows}
    cell = rows.get(ConditionId(ADAPTER_METHOD))
    if cell is None or cell.versus is None:
        return ""
    versus = cell.versus
    ours, other = requirements(ADAPTER_METHOD).title, requirements(BASELINE).title
    return f"{ours} against {other}: {-versus.difference:+.2f} nats per review [{-versus.high:.2f}, {-versus.low:.2f}]"
