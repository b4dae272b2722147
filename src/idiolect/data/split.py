"""The split: each user's newest reviews are held out (as the DPL authors do), as a value and as a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b, file_digest
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from idiolect.config import build, read_json
from idiolect.data.buckets import arrow_table
from idiolect.data.holdout import ROLES, find_members, in_order
from idiolect.data.kcore import oldest_first
from idiolect.data.output_files import atomic_write
from idiolect.data.published import MemberRole
from idiolect.data.scan import FrameScan, ReviewScan, read_corpus
from idiolect.data.split_config import SplitConfig
from idiolect.errors import ArtifactError, ConfigError, InputError, NotFoundError
from idiolect.types import ReviewId, UserId

MEMBER_SCHEMA = pl.Schema({"review_id": pl.String(), "user": pl.String(), "role": pl.String()})
_ROLE_SCHEMA = pl.Schema({"review_id": pl.String(), "role": pl.String()})

_VERSION = 1
_BATCH = 1_000_000
"""Members read at a time: some 60 MB."""


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

    @property
    def members(self) -> int:
        """Reviews with a role."""
        return self.profile + self.train + self.validation + self.test


@dataclass(frozen=True, slots=True)
class MemberFile:
    """``members.parquet`` of a split as it was when its digest was checked."""

    path: Path
    state: tuple[int, ...]
    """What changes if the file does, or another takes its place."""

    @classmethod
    def checked(cls, path: Path, *, digest: str) -> MemberFile:
        """The file, after a look at every byte.

        Raises:
            ArtifactError: It is not the file of this digest, or no table of members.
        """
        try:
            state = _state(path)
            if _digest(path) != digest:
                raise _damaged(path, "it is not the file that split.json describes")
            empty = pl.DataFrame(pl.from_arrow(pq.read_schema(path).empty_table()))
        except (OSError, pa.ArrowException) as error:
            raise _damaged(path, error) from error
        if empty.schema != MEMBER_SCHEMA:
            raise _damaged(path, f"its columns are {dict(empty.schema)}")
        return cls(path, state)

    def batches(self) -> Iterator[pl.DataFrame]:
        """Its rows, some at a time.

        Raises:
            ArtifactError: It is gone, or another one.
        """
        try:
            with pq.ParquetFile(self.path) as file:
                if _state(self.path) != self.state:
                    raise _damaged(self.path, "it was changed since the split was loaded")
                for batch in file.iter_batches(_BATCH):
                    yield pl.DataFrame(pl.from_arrow(batch))
        except (OSError, pa.ArrowException) as error:
            raise _damaged(self.path, error) from error


def _state(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Split:
    """Which reviews are profile and which are targets. A loaded split reads its members from the file when asked."""

    source: pl.DataFrame | MemberFile
    """Table of ``MEMBER_SCHEMA``: users in order of first appearance, each user's reviews oldest first."""
    config: SplitConfig
    counts: SplitCounts
    fingerprint: str = ""
    """Of the store the split was saved for; empty before it is saved."""

    @property
    def members(self) -> pl.DataFrame:
        """All members in memory: some 60 bytes each."""
        return pl.concat([MEMBER_SCHEMA.to_frame(), *self.batches()])

    def batches(self) -> Iterator[pl.DataFrame]:
        """The members in the split's order, some at a time.

        Raises:
            ArtifactError: The file was changed since the split was loaded.
        """
        yield from self.source.iter_slices(_BATCH) if isinstance(self.source, pl.DataFrame) else self.source.batches()

    @property
    def users(self) -> list[UserId]:
        """The users, in the split's order."""
        parts = [part["user"].unique(maintain_order=True) for part in self.batches()]
        names = pl.concat([pl.Series([], dtype=pl.String), *parts]).unique(maintain_order=True)
        return [UserId(user) for user in names]

    def ids(self, *roles: MemberRole) -> list[ReviewId]:
        """The reviews of these roles, in the split's order."""
        some = (part.filter(pl.col("role").is_in(roles))["review_id"] for part in self.batches())
        return [ReviewId(id_) for part in some for id_ in part]

    def save(self, folder: Path, *, fingerprint: str) -> None:
        """Write ``members.parquet`` and then ``split.json``, each whole or not at all.

        Args:
            folder: Made where it does not exist.
            fingerprint: Of the store whose reviews were split.
        """
        _save(folder, self.members.write_parquet, self.config, self.counts, fingerprint)

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
                source=MemberFile.checked(folder / "members.parquet", digest=head["members"]),
                config=build(SplitConfig, head["config"], where=str(folder / "split.json")),
                counts=_read_counts(head["counts"]),
                fingerprint=head["fingerprint"],
            )
        except (ConfigError, TypeError, AttributeError) as error:
            raise _damaged(folder / "split.json", error) from error


def _save(
    folder: Path, write: Callable[[Path], object], config: SplitConfig, counts: SplitCounts, fingerprint: str
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "members.parquet", write)
    head = {
        "version": _VERSION,
        "fingerprint": fingerprint,
        "members": _digest(folder / "members.parquet"),
        "config": config.model_dump(),
        "counts": asdict(counts),
    }
    text = json.dumps(head, indent=2) + "\n"
    atomic_write(folder / "split.json", lambda path: path.write_text(text, encoding="utf-8"))


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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()


def _damaged(path: Path, why: object) -> ArtifactError:
    return ArtifactError(f"cannot use {str(path)!r}: {why}", hint="make the split again")


def make_split(
    reviews: pl.DataFrame | ReviewScan, items: pl.DataFrame, config: SplitConfig, *, work: Path | None = None
) -> Split:
    """Filter, narrow to the k-core, de-duplicate, hold out, and keep profile items that have peers.

    Args:
        reviews: Table of ``REVIEW_SCHEMA``, in memory or read batch by batch (``data.scan``), with the same result; the
            order of its rows breaks what ties time leaves.
        items: Table of ``ITEM_SCHEMA``; may be empty if ``config`` asks nothing of items.
        config: Thresholds.
        work: An empty folder for intermediate tables of more than a million reviews; None: a temporary one.

    Raises:
        InputError: No user is left.
    """
    with _members(reviews, items, config, work) as (counts, parts):
        return Split(source=pl.concat([MEMBER_SCHEMA.to_frame(), *parts]), config=config, counts=counts)


def write_split(
    reviews: ReviewScan, items: pl.DataFrame, config: SplitConfig, folder: Path, *, work: Path, fingerprint: str
) -> SplitCounts:
    """``make_split`` and ``Split.save`` without all members in memory.

    Args:
        reviews: As for ``make_split``.
        items: As for ``make_split``.
        config: Thresholds.
        folder: Of the split; made where it does not exist.
        work: An empty folder.
        fingerprint: Of the store whose reviews are split.

    Raises:
        InputError: No user is left.
    """
    with _members(reviews, items, config, work) as (counts, parts):
        _save(folder, partial(_write_members, parts), config, counts, fingerprint)
    return counts


def _write_members(parts: Iterator[pl.DataFrame], path: Path) -> None:
    first = next(parts)
    second = next(parts, None)
    if second is None:
        first.write_parquet(path)
        return
    schema = arrow_table(first).schema
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in chain([first, second], parts):
            writer.write_table(arrow_table(part))


@contextmanager
def _members(
    reviews: pl.DataFrame | ReviewScan, items: pl.DataFrame, config: SplitConfig, work: Path | None
) -> Iterator[tuple[SplitCounts, Iterator[pl.DataFrame]]]:
    """The counts and the members, in parts."""
    scan = FrameScan(reviews) if isinstance(reviews, pl.DataFrame) else reviews
    with TemporaryDirectory() if work is None else nullcontext(str(work)) as folder:
        corpus = read_corpus(scan, items, config, folder=Path(folder))
        rows, found = find_members(corpus, config)
        counts = SplitCounts(reviews=corpus.read, eligible=corpus.height, **found)
        if not counts.users:
            raise InputError(f"no user is left: {_story(counts)}", hint=_remedy(counts, config))
        yield counts, in_order(corpus, rows, counts.members)


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
    return Split(source=ordered.select("review_id", "user", "role"), config=config, counts=counts)


_REQUIRED = ("require_title", "require_rating", "require_timestamp", "require_item_title")
_DESCRIBED = ("min_description_chars", "max_description_chars")


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
