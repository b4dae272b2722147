"""Settings of a study of real reviews, and the filters and lengths that it chooses from the corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from pydantic import Field, PositiveInt, ValidationInfo, field_validator

from idiolect.config import Config
from idiolect.data.split import make_split
from idiolect.data.split_config import SplitConfig
from idiolect.errors import InputError
from idiolect.llm.registry import backend_of, require_packages
from idiolect.metrics.verification import load_verifier
from idiolect.pipeline.settings import RoleConfig
from idiolect.prompts.tasks import DEFAULT, load_task
from idiolect.training.config import Size
from idiolect.training.pretrain import train_tokenizer

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
FILTERED = (*_FILTERS[0], "train", "min_train", "min_peers")
"""Settings of the split that are chosen from the corpus."""
_ENTRY_TOKENS = 24
"""Of a past review's heading, title and rating, with a tokenizer trained on the corpus."""
_SLOT_TOKENS = 8
"""Of a past review's two virtual tokens, or of the words in their place."""
_SCAFFOLD_TOKENS = 200
"""Of a prompt's headings, instructions, titles and fields, with such a tokenizer."""
VOCAB_SIZE = 4096
_PAST_DESCRIPTION = 0.25
"""Longest description of a past review's item, as a share of that of the item to write about."""
_MAX_DESCRIPTION_TOKENS = 512
"""Descriptions in a script with many tokens per character are cut shorter."""
_ENTRY_LIMIT, _PROMPT_LIMIT, _REVIEW_LIMIT = 400, 1536, 320
"""Most tokens of a past review with its heading, of a prompt, and of a review of a corpus of long ones: attention and
time grow with them, and the whole study should take about three hours."""
_READ_CHARS = 36_000_000
"""Most characters of the reviews that the backbone's documents are made from: its budget of tokens is far smaller."""
_MOST_USERS = 5000
"""Of a corpus with more users, filters are tightened: what is fitted and tested needs no more."""
_TEXTS_MEASURED = 4000
"""Reviews, and descriptions, that are tokenized to choose budgets."""
_SCANNED_CHARS = 4000
"""Most characters of each of these texts that the tokenizer is trained on."""
_CERTAIN = 0.9
"""Share of the room in a prompt that cut texts fill: tokens per character differ between texts."""


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
    """Test users for whom texts are written, with all methods and controls."""
    likelihood_users: int | None = Field(default=500, gt=0)
    """Test users whose own texts' likelihoods are computed, those of ``max_test`` included; None: all. If there are
    more of them than ``max_test``, gains and verdicts rest on all of them."""
    authorship: tuple[str, ...] = ()
    """Further measures of who wrote the texts of the first seed (``lambdag``, or an encoder), as in ``evaluate``."""
    text_judge: RoleConfig | None = None
    """A model that rates the texts of the first seed, as in ``evaluate``; it must be one of its own."""
    seed: int = Field(default=0, ge=0)
    """Of backbone, adapters and bootstrap; every seed needs a folder of its own."""
    seeds: int = Field(default=1, gt=0)
    """Adapters per pass, with the seeds ``seed``, ``seed + 1``, ...; they share split and backbone."""

    @property
    def identity(self) -> dict[str, Any]:
        """What a study's folder stands for: without settings that a finished study may be extended by."""
        fields = type(self).model_fields
        usual = {name: fields[name].default for name in ("seeds", "likelihood_users", "authorship", "text_judge")}
        return self.model_copy(update=usual).model_dump(mode="json")

    @property
    def judge_name(self) -> str:
        """Name of the model that rates texts; empty if there is none."""
        judge = self.text_judge and self.text_judge.backbone
        return "" if judge is None else judge.endpoint.model if judge.endpoint else judge.model

    def check_available(self) -> None:
        """Refuse now what would be refused after hours.

        Raises:
            ConfigError: There is no such task.
            NotFoundError: There is no such encoder.
            MissingDependencyError: A package is not installed.
        """
        load_task(self.task)
        for name in self.authorship:
            load_verifier(name)
        if self.text_judge is not None and self.text_judge.backbone is not None:
            require_packages(backend_of(self.text_judge.backbone))

    @field_validator("text_judge")
    @classmethod
    def _not_the_studys_own(cls, value: RoleConfig | None) -> RoleConfig | None:
        if value is not None and value.backbone is None:
            raise ValueError("so small a backbone judges nothing: name a model (text_judge.backbone.endpoint.model)")
        return value

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

    def read(self, limit: int | None) -> int | None:
        """Most reviews that the backbone is pretrained on, given the setting ``max_reviews``."""
        return None if limit is None else min(limit, self.reviews)

    def named(self) -> dict[str, int | str]:
        """With units in the names."""
        units = {"prompt": "prompt_tokens", "review": "review_tokens", "held_out": "held_out_documents"}
        known = {**self._asdict(), "history_chars": self.history_chars or "whole texts"}
        del known["reviews"]  # the setting max_reviews
        return {units.get(name, name): value for name, value in known.items()}


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
    """The number of users that filters keep, and the changes of the preset; None if they keep none."""
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
    texts, descriptions = sample(texts), sample(descriptions)
    chars = int(np.clip(2 * np.quantile([len(text) for text in texts], 0.75), 200, 1000))
    starts = [description[:chars] for description in descriptions]
    tokenizer = train_tokenizer([text[:_SCANNED_CHARS] for text in [*texts, *starts]], vocab_size=VOCAB_SIZE)
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
    longest = float(np.quantile(lengths, 0.9))
    cut = wanted > _ENTRY_LIMIT or needed > _PROMPT_LIMIT or longest > _REVIEW_LIMIT
    room = max(_ENTRY_TOKENS, prompt - fixed - shown * heading) * _CERTAIN
    return Sizes(
        prompt=prompt,
        review=int(np.clip(longest, 48, _REVIEW_LIMIT)),
        held_out=int(np.clip(len(texts) // 20, 4, 200)),
        description_chars=chars,
        past_description_chars=int(chars * _PAST_DESCRIPTION),
        history_chars=int(room * per_token) if cut else None,
        target_chars=int(_REVIEW_LIMIT * per_token),
        reviews=max(1, int(_READ_CHARS / max(1.0, float(np.mean([len(text) for text in texts]))))),
    )


def sample(texts: Sequence[str]) -> list[str]:
    """Texts to measure lengths and language on, evenly spread."""
    step = max(1, len(texts) // _TEXTS_MEASURED)
    return list(texts[::step])


def _lengths(tokenizer: Any, texts: list[str]) -> np.ndarray:
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    return np.array([len(row) for row in ids], dtype=np.int64)
