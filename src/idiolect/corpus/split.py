"""A split: which review of which user is profile and which is a target, as a value and as a folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import polars as pl
import polars.exceptions as pl_errors

from idiolect.config import build, read_json
from idiolect.corpus.atomic import write_whole
from idiolect.corpus.rules import SplitConfig
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.types import ReviewId, UserId

MemberRole = Literal["profile", "train", "validation", "test"]
ROLES: tuple[MemberRole, ...] = ("profile", "train", "validation", "test")
"""What a review is to its user, oldest first."""

MEMBER_SCHEMA = pl.Schema({"review_id": pl.String(), "user": pl.String(), "role": pl.String()})

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
        write_whole(folder / "members.parquet", self.members.write_parquet)
        head = {
            "version": _VERSION,
            "fingerprint": fingerprint,
            "members": _digest(folder / "members.parquet"),
            "config": self.config.model_dump(),
            "counts": asdict(self.counts),
        }
        text = json.dumps(head, indent=2) + "\n"
        write_whole(folder / "split.json", lambda path: path.write_text(text, encoding="utf-8"))

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
