"""The whole comparison on a new corpus by one command, with sizes chosen from the corpus.

Reviews in; then a split, vectors of style, a small backbone pretrained on the corpus (no target of the split is read),
an adapter fitted without the text of past reviews, others fitted on from it with the text of one, two or four of them
(validation targets choose), and both passes evaluated with their controls. Every step is resumable, so the same command
resumes an interrupted run. The protocol is in ``docs/real.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from pydantic import Field, FiniteFloat, PositiveInt, TypeAdapter, ValidationInfo, field_validator

from idiolect.config import Config
from idiolect.data.files import atomic_write
from idiolect.data.split import Split, make_split
from idiolect.data.split_config import SplitConfig
from idiolect.difference.stylometry.english import are_english
from idiolect.encoders import load_encoder
from idiolect.errors import ArtifactError, IdiolectError, InputError
from idiolect.evaluation.cache_model import CacheGains, cache_gains
from idiolect.evaluation.runner import run_evaluate
from idiolect.evaluation.scoring import Evaluation
from idiolect.evaluation.user_attribution import UserAttribution, vector_attribution
from idiolect.experiments.real_corpus import corpus_warnings
from idiolect.experiments.real_page import PASSES, Choice, Words, few_users, page_text, quoting, weakness
from idiolect.methods.base import ADAPTER_METHOD, BASELINE, UNPERSONALIZED, requirements
from idiolect.pipeline import results
from idiolect.pipeline.commands import pretrain_backbone, run_fit
from idiolect.pipeline.data import Data
from idiolect.pipeline.pretraining import pretraining_reviews
from idiolect.pipeline.settings import Settings
from idiolect.planning import announce
from idiolect.prompts.rendering import even_limit
from idiolect.prompts.tasks import DEFAULT, load_task
from idiolect.prompts.template_sandbox import beginning
from idiolect.store.embedding import embed_store
from idiolect.store.ingestion import ingest_files
from idiolect.store.outputs import check_own
from idiolect.store.splitting import split_store
from idiolect.store.sql import SqlStore
from idiolect.training.config import PretrainReport, Size
from idiolect.training.documents import HISTORY
from idiolect.training.pretrain import train_tokenizer
from idiolect.version import __version__

Say = Callable[[str], None]
PAGE = "real.md"
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
_PAST_DESCRIPTION = 0.25
"""Longest description of a past review's item, as a share of that of the item to write about."""
_MAX_DESCRIPTION_TOKENS = 512
"""Descriptions in a script with many tokens per character are cut shorter."""
_ENTRY_LIMIT, _PROMPT_LIMIT, _REVIEW_LIMIT = 400, 1536, 320
"""Most tokens of a past review with its heading, of a prompt, and of a review of a corpus of long ones: attention and
time grow with them, and the whole study should take about three hours."""
_OUTLIER_TOKENS = 1024
"""Most tokens of a target of other corpora, in which a rare text may be very long."""
_READ_CHARS = 36_000_000
"""Most characters of the reviews that the backbone's documents are made from: its budget of tokens is far smaller."""
_MOST_USERS = 5000
"""Of a corpus with more users, filters are tightened: what is fitted and tested needs no more."""
_TEXTS_MEASURED = 4000
"""Reviews, and descriptions, that are tokenized to choose budgets."""
_SCANNED_CHARS = 4000
"""Of each of them, for the tokenizer."""
_CERTAIN = 0.9
"""Share of the room in a prompt that cut texts fill: tokens per character differ between texts."""
_TOKENS_PER_STEP = 4096
_USERS_COMPARED = 2000
"""Most test users whose vectors are compared with each other's."""
_MOST_TRAINED = 5000
"""Training targets: the default budget reads 4,000 examples in a fit."""
_FOREIGN = "False (most texts are not in English, and only English is measured)"
_PATIENCE = 3
"""Epochs without a better likelihood of the validation targets after which a fit ends: small corpora overfit early."""


class RealConfig(Config):
    """Budget of a study on real reviews. The defaults are meant for about three hours on two cores."""

    encoder: str = "style+hash:384"
    """Whose vectors are used: style and choice of words, both without a model; ``style+minilm`` joins style and
    meaning."""
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
    shown: tuple[PositiveInt, ...] = Field(default=(1, 2, 4), min_length=1, validate_default=True)
    """Past reviews whose text a prompt shows, of every method: a number, or several, of which the likelihood of
    validation targets under DEP chooses one. More than ``k`` are ``k``."""
    task: str = DEFAULT
    """What users write (``prompt.task``): decides the nouns of all prompts, those that the backbone reads included."""
    annotate: bool = True
    """Describe style in words, from its measures, in the backbone's documents (English corpora)."""
    steps: tuple[int, int] = (500, 200)
    """Optimiser steps of 8 samples without and with the text of past reviews."""
    max_test: int = Field(default=120, gt=0)
    """Test users."""
    seed: int = Field(default=0, ge=0)
    """Of backbone, adapters and bootstrap; every seed needs a folder of its own."""
    seeds: int = Field(default=1, gt=0)
    """Adapters per pass, with the seeds ``seed``, ``seed + 1``, ...; they share split and backbone."""

    @field_validator("shown", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, int) else value

    @field_validator("shown")
    @classmethod
    def _each_once(cls, value: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        most = info.data.get("k", max(value))
        return tuple(sorted({min(most, number) for number in value}))


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
    past_description_chars: int
    """The same of the item of a past review."""
    history_chars: int | None
    """Most characters of the texts of past reviews in a prompt; None: no text is cut."""
    target_chars: int
    """Longest review that is asked for, fitted on, scored and compared; of a longer one the beginning is."""
    reviews: int
    """Most reviews that the backbone is pretrained on."""

    def named(self) -> dict[str, int | str]:
        """With units in the names."""
        units = {"prompt": "prompt_tokens", "review": "review_tokens", "held_out": "held_out_documents"}
        known = {**self._asdict(), "history_chars": self.history_chars or "whole texts"}
        del known["reviews"]  # the setting max_reviews
        return {units.get(name, name): value for name, value in known.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class RealReport:
    """What a study found."""

    evaluations: Mapping[str, Evaluation]
    """By pass (``PASSES``)."""
    words: Words
    """How much of the choice of words is personal, without any neural model."""
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

    If they leave more than ``_MOST_USERS``, the numbers of reviews and users that they ask for are doubled until not.

    Args:
        reviews: Table of ``REVIEW_SCHEMA``.
        items: Table of ``ITEM_SCHEMA``.
        enough: Users.

    Returns:
        Changes of the preset ``small``: up to four training targets per user, as far as the profile allows.

    Raises:
        InputError: No filters leave any user.
    """
    best: tuple[int, dict[str, Any]] | None = None
    for filters in _FILTERS:
        found = _left(reviews, items, filters)
        if found is not None and (best is None or found[0] > best[0]):
            best = found
        if best is not None and best[0] >= enough:
            break
    if best is None:
        raise InputError(
            f"no user has enough reviews of items that others reviewed too: {_census(reviews)}",
            hint="the study needs users with 6 different texts about items with 2 users at least",
        )
    while best[0] > _MOST_USERS:
        doubled = {name: 2 * best[1][name] for name in ("min_user_reviews", "min_item_users")}
        found = _left(reviews, items, {**best[1], **doubled})
        if found is None or found[0] < enough:
            break
        best = found
    return best[1]


def _left(reviews: pl.DataFrame, items: pl.DataFrame, filters: Mapping[str, int]) -> tuple[int, dict[str, Any]] | None:
    """The number of users that filters leave, and the changes of the preset; None if they leave nobody."""
    sure = max(1, min(4, filters["min_user_reviews"] - filters["min_profile"] - 2))
    changes = {**filters, "train": 4, "min_train": sure, "min_peers": min(3, filters["min_item_users"])}
    try:
        return len(make_split(reviews, items, SplitConfig.preset("small", **changes)).users), changes
    except InputError:
        return None


def _census(reviews: pl.DataFrame) -> str:
    """What there is too little of."""
    by_user = reviews.group_by("user").agg(pl.col("text").n_unique())
    by_item = reviews.group_by("item").agg(pl.col("user").n_unique())
    return (
        f"of {by_user.height:,} users {by_user.filter(pl.col('text') >= 6).height:,} have 6 different texts, of "
        f"{by_item.height:,} items {by_item.filter(pl.col('user') >= 2).height:,} have 2 users"
    )


def choose_sizes(texts: Sequence[str], descriptions: Sequence[str], k: int, shown: int | None = None) -> Sizes:
    """Budgets for prompts of ``k`` past reviews and for a review, in tokens of a tokenizer trained on the texts.

    An item's description gets at most the room of two reviews, and half a review's beside a past review, so that long
    descriptions with short reviews do not take most of what a small backbone reads.

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
    tokenizer = train_tokenizer([text[:_SCANNED_CHARS] for text in [*texts, *starts]], vocab_size=_VOCAB_SIZE)
    lengths = _lengths(tokenizer, texts)
    per_token = sum(map(len, texts)) / max(1, int(lengths.sum()))
    described = int(_lengths(tokenizer, starts).max(initial=0))
    if described > _MAX_DESCRIPTION_TOKENS:
        chars = chars * _MAX_DESCRIPTION_TOKENS // described
        described = _MAX_DESCRIPTION_TOKENS
    heading = _ENTRY_TOKENS + described * _PAST_DESCRIPTION
    wanted = float(np.quantile(lengths, 0.75)) + heading
    fixed = _SCAFFOLD_TOKENS + described + _SLOT_TOKENS * k
    needed = fixed + shown * min(_ENTRY_LIMIT, wanted)
    prompt = int(np.clip(needed, 384, _PROMPT_LIMIT))
    # Only where typical texts do not fit: elsewhere a rare long one is left out with those after it.
    cut = wanted > _ENTRY_LIMIT or needed > _PROMPT_LIMIT
    room = max(_ENTRY_TOKENS, prompt - fixed - shown * heading) * _CERTAIN
    longest = float(np.quantile(lengths, 0.9))
    target = _REVIEW_LIMIT if longest > _REVIEW_LIMIT else _OUTLIER_TOKENS
    return Sizes(
        prompt=prompt,
        review=int(np.clip(longest, 48, _REVIEW_LIMIT)),
        held_out=int(np.clip(len(texts) // 20, 4, 200)),
        description_chars=chars,
        past_description_chars=int(chars * _PAST_DESCRIPTION),
        history_chars=int(room * per_token) if cut else None,
        target_chars=int(target * per_token),
        reviews=max(1, int(_READ_CHARS / max(1.0, float(np.mean([len(text) for text in texts]))))),
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
        ConfigError: There is no such task, or ``folder`` holds another study or other files.
    """
    config, started = config or RealConfig(), time.monotonic()
    load_task(config.task)  # an unknown one is refused before anything is computed
    check_own(folder, "study")
    # Without the number of seeds: a finished study may be extended by further ones.
    identity = {**config.model_dump(mode="json"), "seeds": 1}
    depends = {"config": identity, "corpus": str(corpus), "items": str(items or "")}
    depends |= {"version": __version__, "backbone": "of its own"}
    if columns:  # read once more in other columns, every review would be in the store twice
        depends["columns"] = dict(columns)
    marked = folder / "claim.json"
    results.claim(marked, depends, "study", RealConfig)
    store, split = str(folder / "reviews.db"), folder / "split"
    say("1/6  reading the reviews")
    how: dict[str, Any] = {"rejects": folder / "rejects.jsonl", "progress": progress}
    try:
        ingest_files(corpus, store=store, items=items, columns=columns, **how)
    except IdiolectError:
        if not Path(store).exists():  # nothing was read: the same folder serves for the corpus that was meant
            marked.unlink()
        raise
    filters, sizes, n_users = _split(store, split, config)
    say(f"2/6  {n_users} users; computing vectors ({config.encoder})")
    few, odd = few_users(n_users), _corpus_warnings(store, sizes)
    for warning in filter(None, (few, *odd)):  # before the hours that a backbone takes
        say(f"warning: {warning}")
    embed_store(store, config.encoder, split=split, peers="split", progress=progress)
    whole = _personal_words(store, split, config, sizes)
    say(f"3/6  pretraining a backbone on {config.pretrain_tokens / 1e6:.1f} M tokens (no target is read)")
    annotate = config.annotate and _is_english(store)
    recipe = _pretraining(config, sizes, annotate=annotate)
    backbone = pretrain_backbone(
        store, folder / "backbone", split=split, annotate=annotate, changes=recipe, progress=progress
    )
    runs = _Runs(folder=folder, store=store, split=split, config=config, sizes=sizes, progress=progress)
    evaluations, outputs, choice = _evaluated(runs, say)
    words = Words(whole, _personal_words(store, split, config, sizes, newest=choice.shown))
    say("6/6  writing the page")
    page = folder / PAGE
    facts = {"corpus": Path(str(corpus)).name, "users": n_users, **filters, **sizes.named()}
    usual = {"task"} if config.task == DEFAULT else None  # a page on reviews need not say so
    facts |= config.model_dump(mode="json", exclude=usual) | {"shown": choice.shown}
    facts["max_reviews"] = _read(config, sizes)
    facts["annotate"] = annotate or (config.annotate and _FOREIGN)
    found = [few, weakness(evaluations[PASSES[1]], words.shown, choice.shown), quoting(_texts(store)), *odd]
    warnings = tuple(filter(None, found))
    text = page_text(facts, words, _attribution(runs), backbone, evaluations, outputs, choice, warnings)
    atomic_write(page, lambda file: Path(file).write_text(text, encoding="utf-8"))
    seconds = time.monotonic() - started
    return RealReport(
        evaluations=evaluations, words=words, backbone=backbone, page=page, warnings=warnings, seconds=seconds
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    """Fits and evaluations of a study: where they are, and what they share."""

    folder: Path
    store: str
    split: Path
    config: RealConfig
    sizes: Sizes
    progress: bool

    def fit(
        self, label: str, *, shown: int, seed: int, with_text: bool, initial: Path | None = None, controls: bool = True
    ) -> tuple[Path, float]:
        """An adapter of one pass; a finished one is read back.

        Returns:
            Its folder, and its nats per validation target.
        """
        out, steps = self.folder / f"adapter-{label}", self.config.steps[int(with_text)]
        backbone = self.folder / "backbone"
        changes = _settings(self.config, self.sizes, backbone, shown=shown, with_text=with_text, steps=steps, seed=seed)
        if not controls:
            changes["controls"] = []
        before = announce("fit", shown=self.progress)
        how: dict[str, Any] = {"initial": initial, "progress": self.progress, "before": before}
        nats = run_fit(self.store, self.split, out, changes=changes, **how)[ADAPTER_METHOD].best_metric
        assert nats is not None  # every split has validation targets
        return out, nats

    def evaluate(self, label: str, adapter: Path, *, is_first: bool) -> tuple[Path, Evaluation]:
        """Of methods and controls; of a further seed, only what depends on the adapter."""
        out, changes = self.folder / f"results-{label}", None if is_first else _REPEATED
        before = announce("evaluate", shown=self.progress)
        how: dict[str, Any] = {"adapter": adapter, "progress": self.progress, "before": before}
        return out, run_evaluate(self.store, self.split, out, changes=changes, **how)

    def choose_shown(self, initial: Path) -> Choice:
        """The number of reviews to show, by validation targets, and the baseline's likelihoods with each.

        Args:
            initial: The adapter that was fitted without text.
        """
        numbers, seed = self.config.shown, self.config.seed
        if len(numbers) == 1:
            return Choice(numbers[0], {}, {})
        # Recorded, because fitting a candidate again, without controls, would remove those of the chosen one.
        path = self.folder / "shown.json"
        if path.is_file():
            nats = _read_shown(path, numbers)
        else:
            how: dict[str, Any] = {"seed": seed, "with_text": True, "initial": initial, "controls": False}
            nats = {number: self.fit(_with_text(number), shown=number, **how)[1] for number in numbers}
            results.write_json(path, {str(number): found for number, found in nats.items()})
        best = min(numbers, key=lambda number: nats[number])
        others = {number: self._baseline(number) for number in numbers if number not in (best, max(numbers))}
        return Choice(best, nats, others)

    def _baseline(self, shown: int) -> Path:
        """Likelihoods of the baseline with another number of reviews; of its texts one token is written."""
        out = self.folder / f"results-{BASELINE}-shown-{shown}"
        changes = _settings(self.config, self.sizes, self.folder / "backbone", shown=shown, with_text=True)
        changes |= {"methods": [], "metrics": [], "negative_controls": False, "extra_controls": []}
        changes |= {"token_classes": False, "sampling": {"max_new_tokens": 1}}
        run_evaluate(self.store, self.split, out, changes=changes, progress=self.progress)
        return out


def _read_shown(path: Path, numbers: tuple[int, ...]) -> dict[int, float]:
    known = results.read_json(path)
    try:
        return {number: TypeAdapter(FiniteFloat).validate_python(known[str(number)]) for number in numbers}
    except (KeyError, ValueError) as error:
        raise ArtifactError(f"{str(path)!r} holds no nats of every number of reviews", hint="remove it") from error


def _with_text(shown: int) -> str:
    return f"with-text-shown-{shown}"


def _evaluated(runs: _Runs, say: Say) -> tuple[dict[str, Evaluation], dict[str, list[Path]], Choice]:
    """Fit and evaluate both passes with every seed.

    Returns:
        The evaluations of the first seed, and the folders of all, by pass; and the number of reviews to show.
    """
    evaluations: dict[str, Evaluation] = {}
    outputs: dict[str, list[Path]] = {name: [] for name in PASSES}
    title, numbers = requirements(ADAPTER_METHOD).title, runs.config.shown
    choice = Choice(max(numbers), {}, {})
    for seed in range(runs.config.seed, runs.config.seed + runs.config.seeds):
        is_first = seed == runs.config.seed
        labels = [name.replace(" ", "-") + ("" if is_first else f"-seed-{seed}") for name in PASSES]
        of = "" if is_first else f", seed {seed}"
        tried = f" ({' or '.join(map(str, numbers))})" if is_first and len(numbers) > 1 else ""
        say(f"4/6  fitting {title} {' and '.join(PASSES)} of past reviews{tried}{of}")
        # DEP shows no text in this pass; the baselines that are evaluated with it show the largest number.
        without, _ = runs.fit(labels[0], shown=max(numbers), seed=seed, with_text=False)
        if is_first:
            choice = runs.choose_shown(without)
            labels[1] = _with_text(choice.shown) if choice.validation else labels[1]
        with_text, _ = runs.fit(labels[1], shown=choice.shown, seed=seed, with_text=True, initial=without)
        say(f"5/6  evaluating both, with {choice.shown} {'review' if choice.shown == 1 else 'reviews'} as text{of}")
        for name, label, adapter in zip(PASSES, labels, (without, with_text), strict=True):
            out, found = runs.evaluate(label, adapter, is_first=is_first)
            evaluations.setdefault(name, found)
            outputs[name].append(out)
    if choice.validation and choice.shown != max(numbers):
        choice = choice._replace(baseline={**choice.baseline, max(numbers): outputs[PASSES[0]][0]})
    return evaluations, outputs, choice


def _split(store: str, folder: Path, config: RealConfig) -> tuple[dict[str, Any], Sizes, int]:
    """Filters, lengths and users; the split is saved in ``folder`` unless it is there."""
    with SqlStore(store, create=False) as database:
        reviews, items, fingerprint = database.review_frame(), database.item_frame(), database.fingerprint()
    filters = choose_filters(reviews, items, config.enough_users)
    if not folder.is_dir():
        split_store(store, folder, preset="small", changes=filters)
    split = Split.load(folder, fingerprint=fingerprint)
    filters = {name: getattr(split.config, name) for name in filters}  # of a resumed study, which keeps its split
    sizes = choose_sizes(
        reviews["text"].to_list(), items["description"].drop_nulls().to_list(), config.k, max(config.shown)
    )
    return filters, sizes, len(split.users)


def _personal_words(
    store: str, folder: Path, config: RealConfig, sizes: Sizes, newest: int | None = None
) -> CacheGains:
    """With the reviews that the backbone reads as the corpus, and targets as it is asked for them.

    Args:
        store: Of the reviews.
        folder: Of the split.
        config: Of the study.
        sizes: Longest target, and longest texts in a prompt.
        newest: So many past texts of each user, as prompts show them: the newest before the validation target, training
            targets included. None: all of the profile.
    """
    with SqlStore(store, create=False) as database, TemporaryDirectory() as work:
        split = Split.load(folder, fingerprint=database.fingerprint())
        background = pretraining_reviews(database, split, _read(config, sizes), config.seed, work=Path(work))
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


def _attribution(runs: _Runs) -> dict[int, dict[str, UserAttribution]]:
    """How well the vectors that DEP reads identify the users, by the number of past reviews."""
    found: dict[int, dict[str, UserAttribution]] = {}
    encoder = load_encoder(runs.config.encoder)
    changes = _settings(runs.config, runs.sizes, runs.folder / "backbone", shown=0, with_text=True)
    with SqlStore(runs.store, create=False) as database:
        for number in sorted({*runs.config.shown, runs.config.k}):
            compared = {"targets": {"max_test": _USERS_COMPARED}, "context": {"k": number}}
            settings = Settings.model_validate(changes | compared)
            found[number] = vector_attribution(Data(database, runs.split, settings, encoder=encoder))
    return found


def _is_english(store: str) -> bool:
    """Most of a sample of the reviews."""
    return bool(are_english(_texts(store)).mean() > 0.5)


def _corpus_warnings(store: str, sizes: Sizes) -> list[str]:
    with SqlStore(store, create=False) as database:
        reviews = database.review_frame().select("user", "text")
    return list(corpus_warnings(reviews, sizes.target_chars, sizes.history_chars))


def _texts(store: str) -> list[str]:
    """A sample of the reviews."""
    with SqlStore(store, create=False) as database:
        return _sample(database.review_frame()["text"].to_list())


_SHARES: Mapping[bool, Mapping[str, float]] = {
    False: {UNPERSONALIZED: 0.12, BASELINE: 0.28, ADAPTER_METHOD: 0.4, HISTORY: 0.2},
    True: {UNPERSONALIZED: 0.1, BASELINE: 0.24, ADAPTER_METHOD: 0.36, "drp": 0.04, "primer_words": 0.06, HISTORY: 0.2},
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
            "max_shown": max(config.shown),
            "textless_share": 0.4,
            "grouped_share": 1.0,
            "description_chars": sizes.description_chars,
            "past_description_chars": sizes.past_description_chars,
            "history_chars": sizes.history_chars,
            "answer_chars": sizes.target_chars,
            "task": config.task,
        },
        "max_tokens": sizes.prompt + sizes.review,
        "reference_tokens": sizes.review,
        "tokens_per_step": _TOKENS_PER_STEP,
        "max_steps": max(1, round(config.pretrain_tokens / _TOKENS_PER_STEP)),
        "max_reviews": _read(config, sizes),
        "held_out": sizes.held_out,
        "seed": config.seed,
    }


def _read(config: RealConfig, sizes: Sizes) -> int | None:
    """Most reviews that the backbone is pretrained on."""
    return None if config.max_reviews is None else min(config.max_reviews, sizes.reviews)


_REPEATED: Mapping[str, Any] = {"methods": [], "extra_controls": [], "token_classes": False}
"""Settings of the evaluations of further seeds: methods without an adapter do not depend on its seed."""


def _settings(
    config: RealConfig,
    sizes: Sizes,
    backbone: Path,
    *,
    shown: int,
    with_text: bool,
    steps: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    return {
        "peers": "split",
        "encoder": config.encoder,
        "backbone": {"model": str(backbone), "max_prompt_tokens": sizes.prompt},
        "context": {"k": config.k},
        "prompt": {
            "layout": "grouped",
            "with_text": with_text,
            "max_shown": shown,
            "description_chars": sizes.description_chars,
            "past_description_chars": sizes.past_description_chars,
            "history_chars": sizes.history_chars,
            "task": config.task,
        },
        "adapter": {"d_sae": 64},
        "extra_controls": ["nearest_twin", "item_crowd", "oracle"],
        "token_classes": True,
        "targets": {"max_validation": 60, "max_test": config.max_test, "train_per_user": "all"}
        | {"max_train": _MOST_TRAINED, "max_chars": sizes.target_chars},
        "fit": {
            "max_steps": steps,
            "learning_rate": 0.003 if with_text else 0.005,
            "metric": "nll",
            "patience": _PATIENCE,
            "seed": seed,
        },
        "sampling": {"max_new_tokens": sizes.review, "seed": seed},
        "seed": seed,
    }
