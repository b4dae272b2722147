"""The split: each user's newest reviews are held out (as the DPL authors do), as a value and as a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import polars.exceptions as pl_errors

from idiolect.config import build, read_json
from idiolect.data.files import atomic_write
from idiolect.data.kcore import eligible, k_core, newest_first, newest_unique, numbered, oldest_first, with_texts
from idiolect.data.readers import MemberRole
from idiolect.data.split_config import SplitConfig
from idiolect.errors import ArtifactError, ConfigError, InputError, NotFoundError
from idiolect.types import ReviewId, UserId

ROLES: tuple[MemberRole, ...] = ("profile", "train", "validation", "test")
"""What a review is to its user, oldest first."""

MEMBER_SCHEMA = pl.Schema({"review_id": pl.String(), "user": pl.String(), "role": pl.String()})
_ROLE_SCHEMA = pl.Schema({"review_id": pl.String(), "role": pl.String()})

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCounts:
    """How many were left, step by step."""

    reviews: int
    """Read."""
    eligible: int
    """After the filters."""
    core_rounds: tuple[int, ...]
    """Reviews after each round of the k-core."""
    core_items: int
    """Items after the k-core."""
    peer_rounds: tuple[int, ...]
    """Users before the first and after each round of the peer filter."""
    users: int
    profile: int
    """Profile reviews of all users."""
    train: int
    validation: int
    test: int
    undated: int = 0
    """Reviews of any role without a timestamp; each counts as older than its user's dated reviews."""
    absent: int = 0
    """Of published roles: reviews that the store does not have."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Split:
    """Which reviews are profile and which are targets."""

    members: pl.DataFrame
    """Table of ``MEMBER_SCHEMA``: users in order of first appearance, each user's reviews oldest first."""
    config: SplitConfig
    counts: SplitCounts
    fingerprint: str = ""
    """Of the store the split was saved for; empty before it is saved."""

    @property
    def users(self) -> list[UserId]:
        """The users, in the split's order."""
        return [UserId(user) for user in self.members["user"].unique(maintain_order=True)]

    def ids(self, *roles: MemberRole) -> list[ReviewId]:
        """The reviews of these roles, in the split's order."""
        return [ReviewId(id_) for id_ in self.members.filter(pl.col("role").is_in(roles))["review_id"]]

    def save(self, folder: Path, *, fingerprint: str) -> None:
        """Write ``members.parquet`` and then ``split.json``, each whole or not at all.

        Args:
            folder: Made where it does not exist.
            fingerprint: Of the store whose reviews were split.
        """
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / "members.parquet", self.members.write_parquet)
        head = {
            "version": _VERSION,
            "fingerprint": fingerprint,
            "members": _digest(folder / "members.parquet"),
            "config": self.config.model_dump(),
            "counts": asdict(self.counts),
        }
        text = json.dumps(head, indent=2) + "\n"
        atomic_write(folder / "split.json", lambda path: path.write_text(text, encoding="utf-8"))

    @classmethod
    def load(cls, folder: Path, *, fingerprint: str | None = None) -> Split:
        """The split saved in ``folder``.

        Args:
            folder: As given to ``save``.
            fingerprint: Of the store it is to be used with; None: not checked.

        Raises:
            NotFoundError: There is no split.
            ArtifactError: A file is missing, damaged or of another version, or the store is another.
        """
        if not (folder / "split.json").is_file():
            raise NotFoundError(f"there is no split in {str(folder)!r}", hint="make one with `idiolect split`")
        head = _read_head(folder / "split.json")
        if fingerprint is not None and head["fingerprint"] != fingerprint:
            raise ArtifactError(
                f"the split in {str(folder)!r} was made from another state of the store",
                hint="split the store again, or use the store it was made from",
            )
        try:
            return cls(
                members=_read_members(folder / "members.parquet", digest=head["members"]),
                config=build(SplitConfig, head["config"], where=str(folder / "split.json")),
                counts=_read_counts(head["counts"]),
                fingerprint=head["fingerprint"],
            )
        except (ConfigError, TypeError, AttributeError) as error:
            raise _damaged(folder / "split.json", error) from error


def _read_head(path: Path) -> dict[str, Any]:
    try:
        head = read_json(path)
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    expected = {"version", "fingerprint", "members", "config", "counts"}
    if not isinstance(head, dict) or set(head) != expected or head["version"] != _VERSION:
        raise _damaged(path, f"it is not version {_VERSION} of a split")
    return head


def _read_counts(data: dict[str, Any]) -> SplitCounts:
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}
    return SplitCounts(**values)


def _read_members(path: Path, *, digest: str) -> pl.DataFrame:
    try:
        if _digest(path) != digest:
            raise _damaged(path, "it is not the file that split.json describes")
        members = pl.read_parquet(path)
    except (OSError, pl_errors.PolarsError) as error:
        raise _damaged(path, error) from error
    if members.schema != MEMBER_SCHEMA:
        raise _damaged(path, f"its columns are {dict(members.schema)}")
    return members


def _digest(path: Path) -> str:
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _damaged(path: Path, why: object) -> ArtifactError:
    return ArtifactError(f"cannot use {str(path)!r}: {why}", hint="make the split again")


class _Peered(NamedTuple):
    profiles: pl.DataFrame
    rounds: tuple[int, ...]
    """Users before the first round and after each."""


def make_split(reviews: pl.DataFrame, items: pl.DataFrame, config: SplitConfig) -> Split:
    """Filter, narrow to the k-core, de-duplicate, hold out, and keep profile items that have peers.

    Args:
        reviews: Table of ``REVIEW_SCHEMA``; the order of its rows breaks what ties time leaves.
        items: Table of ``ITEM_SCHEMA``; may be empty if ``config`` asks nothing of items.
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
        raise InputError(f"no user is left: {_story(counts)}", hint=_remedy(counts, config))
    named = fit.select("review_id", "user")[members["place"]].with_columns(members["role"])
    return Split(members=named, config=config, counts=counts)


def split_as_published(reviews: pl.DataFrame, roles: Mapping[ReviewId, MemberRole], config: SplitConfig) -> Split:
    """The split that a published data set came with: roles as they are, nothing filtered.

    Args:
        reviews: Table of ``REVIEW_SCHEMA``; reviews without a role are in no history and may be peers.
        roles: From ``published_roles``.
        config: Names the data set.

    Raises:
        InputError: None of the targets is in the table.
    """
    named = pl.DataFrame({"review_id": list(roles), "role": list(roles.values())}, schema=_ROLE_SCHEMA)
    known = reviews.with_row_index("place").join(named, on="review_id", maintain_order="left")
    appeared = known.group_by("user").agg(appeared=pl.col("place").min())
    ordered = oldest_first(known).with_row_index("moment").join(appeared, on="user").sort("appeared", "moment")
    if not ordered.filter(pl.col("role") != "profile").height:
        raise InputError(
            f"the store has none of the {len(roles)} reviews of {config.source!r}",
            hint="ingest the same files first, with the same category= and pseudonyms=",
        )
    counts = SplitCounts(
        reviews=reviews.height,
        eligible=ordered.height,
        core_rounds=(),
        core_items=ordered["item"].n_unique(),
        peer_rounds=(),
        users=ordered["user"].n_unique(),
        undated=ordered["timestamp"].null_count(),
        absent=len(roles) - ordered.height,
        **{role: ordered.filter(role=role).height for role in ROLES},
    )
    return Split(members=ordered.select("review_id", "user", "role"), config=config, counts=counts)


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
    """Settings of the filter step that removed the last user."""
    if not counts.reviews:
        return "the store holds no reviews: ingest some first"
    return f"among the settings of the split, {_to_change(counts, config)}"


def _to_change(counts: SplitCounts, config: SplitConfig) -> str:
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
