"""The split itself: what is left of a corpus, with each user's newest reviews held out (as the DPL authors do it)."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from idiolect.corpus.dedupe import newest_unique, numbered, with_texts
from idiolect.corpus.filters import eligible
from idiolect.corpus.kcore import k_core
from idiolect.corpus.rules import SplitConfig
from idiolect.corpus.split import ROLES, Split, SplitCounts
from idiolect.corpus.timeline import newest_first, oldest_first
from idiolect.errors import InputError


class _Peered(NamedTuple):
    profiles: pl.DataFrame
    rounds: tuple[int, ...]
    """Users before the first round and after each."""


def make_split(reviews: pl.DataFrame, items: pl.DataFrame, config: SplitConfig) -> Split:
    """Filter, narrow to the k-core, de-duplicate, hold out, and keep profile items that have peers.

    Args:
        reviews: Table of ``REVIEW_SCHEMA``; the order of its rows breaks what ties time leaves.
        items: Table of ``ITEM_SCHEMA``; may be empty where ``config`` asks nothing of items.
        config: Thresholds.

    Raises:
        InputError: No user is left.
    """
    fit = eligible(reviews, items, config)
    core = k_core(newest_first(with_texts(numbered(fit), fit["text"])), config)
    unique = newest_unique(with_texts(core.rows, collapse_whitespace(fit["text"][core.rows["place"]])))
    assigned = _with_roles(unique, config)
    peered = _with_peers(assigned.filter(role="profile"), core.rows["user"].n_unique(), config)
    targets = assigned.filter(pl.col("role") != "profile", pl.col("user").is_in(peered.profiles["user"].implode()))
    members = _by_user(pl.concat([peered.profiles, targets]), core.rows)
    counts = SplitCounts(
        reviews=reviews.height,
        eligible=fit.height,
        core_rounds=core.rounds,
        core_items=core.rows["item"].n_unique(),
        peer_rounds=peered.rounds,
        users=members["user"].n_unique(),
        undated=fit["timestamp"][members["place"]].null_count(),
        **{role: members.filter(role=role).height for role in ROLES},
    )
    if not counts.users:
        raise InputError(f"no user is left: {_story(counts)}", hint=f"with --set, {_remedy(counts, config)}")
    named = fit.select("review_id", "user")[members["place"]].with_columns(members["role"])
    return Split(members=named, config=config, counts=counts)


_REQUIRED = ("require_title", "require_rating", "require_timestamp", "require_item_title")
_DESCRIBED = ("min_description_chars", "max_description_chars")


def collapse_whitespace(texts: pl.Series) -> pl.Series:
    """Each run of whitespace (in Python's sense) as one space, none at the ends.

    The pattern leaves single spaces alone: in most texts it finds nothing, which is several times faster.
    """
    return texts.str.replace_all(r"[\s\x1c-\x1f]{2,}|[[\s\x1c-\x1f]--[ ]]", " ").str.strip_chars(" ")


def _with_roles(rows: pl.DataFrame, config: SplitConfig) -> pl.DataFrame:
    """Oldest first, with ``moment`` (the place in that order) and ``role`` (what is newest is tested)."""
    # Table order first: time order keeps it among ties.
    rows = oldest_first(rows.sort("place")).select("place", "user", "item").with_row_index("moment")
    newer = pl.int_range(pl.len()).reverse().over("user")
    role = (
        pl.when(newer < config.test)
        .then(pl.lit("test"))
        .when(newer < config.test + config.validation)
        .then(pl.lit("validation"))
        .when(newer < config.held_out)
        .then(pl.lit("train"))
        .otherwise(pl.lit("profile"))
    )
    return rows.with_columns(role=role)


def _with_peers(profiles: pl.DataFrame, users: int, config: SplitConfig) -> _Peered:
    """Drop profile items of too few users and users of too few profile items, until no more users go."""
    rounds = [users]
    while len(rounds) == 1 or rounds[-1] != rounds[-2]:
        profiles = profiles.filter(pl.len().over("item") >= config.min_peers)
        profiles = profiles.filter(pl.len().over("user") >= config.min_profile)
        rounds.append(profiles["user"].n_unique())
    return _Peered(profiles, tuple(rounds))


def _by_user(members: pl.DataFrame, core: pl.DataFrame) -> pl.DataFrame:
    """``members`` user by user, in the order in which the users appear in the table of the core."""
    appeared = core.group_by("user").agg(appeared=pl.col("place").min())
    return members.join(appeared, on="user").sort("appeared", "moment")


def _remedy(counts: SplitCounts, config: SplitConfig) -> str:
    """Which settings left nobody: those of the step after which there was none."""
    if not counts.reviews:
        return "nothing helps: the store holds no reviews"
    if not counts.eligible:
        required = [f"{name}=false" for name in _REQUIRED if getattr(config, name)]
        bounds = [f"min_text_chars (now {config.min_text_chars})"]
        bounds += [f"{name}=null" for name in _DESCRIBED if getattr(config, name) is not None]
        return f"try one of these filters: lower {', '.join([*bounds, *required])}"
    if not counts.core_rounds[-1]:
        return f"lower min_user_reviews (now {config.min_user_reviews}) or min_item_users (now {config.min_item_users})"
    names = ("train", "validation", "test", "min_profile", "min_peers")
    return f"lower one of {', '.join(f'{name} (now {getattr(config, name)})' for name in names)}"


def _story(counts: SplitCounts) -> str:
    core = counts.core_rounds[-1]
    return f"{counts.reviews} reviews, {counts.eligible} after the filters, {core} in the k-core"
