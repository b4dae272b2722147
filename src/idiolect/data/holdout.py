"""The members of a split, bucket by bucket: k-core, what is held out, peers of profile items, and their order.

Users are in different buckets, so only what is counted per item needs all buckets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from idiolect.data.buckets import Buckets, Scatter, numbers
from idiolect.data.kcore import (
    RowBuckets,
    Rows,
    by_time,
    joined,
    k_core,
    n_codes,
    newest_unique,
    numbered,
    rivals_newest_first,
    with_texts,
)
from idiolect.data.published import MemberRole
from idiolect.data.scan import Corpus
from idiolect.data.split_config import SplitConfig

ROLES: tuple[MemberRole, ...] = ("profile", "train", "validation", "test")
"""What a review is to its user, oldest first."""

_PART_ROWS = 1_000_000
"""Rows of the result that are put in order at once."""
_NAMED = pl.Schema({"index": pl.UInt32(), "review_id": pl.String(), "user": pl.String(), "role": pl.UInt8()})


class Members(NamedTuple):
    """The reviews of a split as positions in the scan, in buckets; and the counts."""

    rows: Buckets
    """``position``, ``appeared`` (UInt32: equal for all reviews of a user; their first position in the core) and
    ``role`` (UInt8), by ``appeared`` and then oldest first."""
    counts: dict[str, Any]
    """Fields of ``SplitCounts``."""


def find_members(corpus: Corpus, config: SplitConfig) -> Members:
    """Narrow to the k-core, de-duplicate, hold out, and keep profile items that have peers."""
    rows = RowBuckets(corpus.buckets, corpus.folder)
    for bucket in range(corpus.buckets):
        rows[bucket] = _eligible_rows(corpus, bucket)
    core = k_core(rows, corpus.n_items, config)
    assigned = Buckets(corpus.folder, "assigned")
    for bucket in range(corpus.buckets):
        assigned[bucket] = _assigned(corpus, bucket, joined(rows.pop(bucket)), config)
        corpus.rows.drop(bucket)
        corpus.digests.drop(bucket)
    peer_rounds, profiles = _with_peers(corpus, assigned, config)
    if config.min_train is not None and config.min_train < config.train:
        _add_targets(corpus, assigned, profiles, config.train - config.min_train, config)
    members, counts = Buckets(corpus.folder, "members"), dict.fromkeys(("users", "undated", *ROLES), 0)
    for bucket in range(corpus.buckets):
        kept = _kept(assigned[bucket], profiles[bucket])
        assigned.drop(bucket)
        profiles.drop(bucket)
        counts["users"] += kept["user"].n_unique()
        counts["undated"] += int((~kept["dated"]).sum())
        held = np.bincount(kept["role"].to_numpy(), minlength=len(ROLES))
        for role, n in zip(ROLES, held.tolist(), strict=True):
            counts[role] += n
        members[bucket] = kept.select("position", "appeared", "role")
    return Members(
        members, {"core_rounds": core.rounds, "core_items": core.items, "peer_rounds": peer_rounds, **counts}
    )


def _eligible_rows(corpus: Corpus, bucket: int) -> Rows:
    rows = corpus.rows[bucket]
    found = with_texts(
        numbered(rows["user"], rows["item"]), rows["said"], corpus.texts(bucket, rows["position"], "said")
    )
    return rivals_newest_first(found, rows.select("timestamp", "order"))


def _assigned(corpus: Corpus, bucket: int, core: pl.DataFrame, config: SplitConfig) -> pl.DataFrame:
    """``position``, ``user``, ``item``, ``role``, ``appeared`` and ``dated`` of the reviews that are not repeats.

    Args:
        corpus: The corpus.
        bucket: Of its users.
        core: ``place``, ``user`` and ``item`` of the bucket's rows in the k-core, by place.
        config: How many reviews are held out.
    """
    rows = corpus.rows[bucket]
    times, positions = rows.select("timestamp", "order"), rows["position"].to_numpy()
    # The last assignment holds: the user's first position.
    appeared = np.zeros(n_codes(core["user"]), dtype=np.uint32)
    appeared[core["user"].to_numpy()[::-1]] = positions[core["place"].to_numpy()[::-1]]
    hashes = rows["collapsed"].gather(core["place"])
    repeats = with_texts(core, hashes, corpus.texts(bucket, rows["position"], "collapsed"))
    unique = _with_roles(newest_unique(rivals_newest_first(repeats, times)), times, appeared, config)
    return unique.select(
        "user",
        "item",
        "role",
        position=rows["position"].gather(unique["place"]),
        appeared=pl.Series(appeared[unique["user"].to_numpy()]),
        dated=times["timestamp"].is_not_null().gather(unique["place"]),
    )


def _with_roles(unique: pl.DataFrame, times: pl.DataFrame, appeared: np.ndarray, config: SplitConfig) -> pl.DataFrame:
    """``place``, ``user``, ``item`` and ``role`` (UInt8, into ``ROLES``: what is newest is tested).

    Users are in the order in which they appear in the table of the core, and each user's reviews oldest first; ties in
    time keep the table's order.

    Args:
        unique: From ``newest_unique``.
        times: ``timestamp`` and ``order``, by place.
        appeared: uint32 (n,): the position at which each user appears.
        config: How many reviews are held out.
    """
    rows = unique[np.argsort(unique["place"].to_numpy(), kind="stable")]
    rows = rows[by_time(times[rows["place"]], within=appeared[rows["user"].to_numpy()])]
    train = config.train if config.min_train is None else config.min_train
    bounds = np.cumsum([config.test, config.validation, train])
    held = np.searchsorted(bounds, _newer(rows["user"].to_numpy()), side="right")
    return rows.with_columns(role=pl.Series(len(bounds) - held, dtype=pl.UInt8))


def _newer(users: np.ndarray) -> np.ndarray:
    """int64 (n,): how many reviews of the same user come later; a user's are next to each other, oldest first."""
    ends = np.append(np.flatnonzero(users[1:] != users[:-1]), max(len(users) - 1, 0))
    return np.repeat(ends, np.diff(ends, prepend=-1))[: len(users)] - np.arange(len(users))


def _with_peers(corpus: Corpus, assigned: Buckets, config: SplitConfig) -> tuple[tuple[int, ...], Buckets]:
    """Drop profile items of too few users and users of too few profile items, until no more users go.

    Returns:
        The number of users before the first round and after each; and what is left of the profiles: ``row`` (in the
        table of ``assigned``), ``user`` and ``item``.
    """
    profiles, fans, users = Buckets(corpus.folder, "profiles"), np.zeros(corpus.n_items, dtype=np.int64), 0
    for bucket in range(corpus.buckets):
        rows = assigned[bucket]
        own = rows.with_row_index("row").filter(role=ROLES.index("profile")).select("row", "user", "item")
        profiles[bucket] = own
        fans += np.bincount(own["item"].to_numpy(), minlength=corpus.n_items)
        users += rows["user"].n_unique()
    rounds = [users]
    while len(rounds) == 1 or rounds[-1] != rounds[-2]:
        known, fans, users = fans >= config.min_peers, np.zeros_like(fans), 0
        for bucket in range(corpus.buckets):
            before = profiles[bucket]
            left = before.filter(known[before["item"].to_numpy()])
            left = left.filter((np.bincount(left["user"].to_numpy()) >= config.min_profile)[left["user"].to_numpy()])
            if left.height != before.height:
                profiles[bucket] = left
            fans += np.bincount(left["item"].to_numpy(), minlength=corpus.n_items)
            users += left["user"].n_unique()
        rounds.append(users)
    return tuple(rounds), profiles


def _add_targets(corpus: Corpus, assigned: Buckets, profiles: Buckets, most: int, config: SplitConfig) -> None:
    """Turn the newest reviews of long profiles into training targets, at most ``most`` of each user.

    A profile keeps ``min_profile`` reviews. If an item would be left with too few users, its reviews stay in their
    profiles, and so do the older ones of their users. So no user is dropped.
    """

    def spare(bucket: int) -> np.ndarray:
        """int64 (n,): of each profile review how many newer ones there are, -1 if it has to stay."""
        users = profiles[bucket]["user"].to_numpy()
        newer, lengths = _newer(users), np.bincount(users)[users]
        return np.where(newer < np.minimum(lengths - config.min_profile, most), newer, -1)

    fans, taken = (np.zeros(corpus.n_items, dtype=np.int64) for _ in range(2))
    for bucket in range(corpus.buckets):
        items = profiles[bucket]["item"].to_numpy()
        fans += np.bincount(items, minlength=corpus.n_items)
        taken += np.bincount(items[spare(bucket) >= 0], minlength=corpus.n_items)
    short = fans - taken < config.min_peers
    for bucket in range(corpus.buckets):
        left, newer = profiles[bucket], spare(bucket)
        users = left["user"].to_numpy()
        first_kept = np.full(n_codes(left["user"]), most)
        kept = (newer >= 0) & short[left["item"].to_numpy()]
        np.minimum.at(first_kept, users[kept], newer[kept])
        taken_here = (newer >= 0) & (newer < first_kept[users])
        roles = assigned[bucket]["role"].to_numpy().copy()
        roles[left["row"].to_numpy()[taken_here]] = ROLES.index("train")
        assigned[bucket] = assigned[bucket].with_columns(role=pl.Series(roles))
        profiles[bucket] = left.filter(~taken_here)


def _kept(assigned: pl.DataFrame, profiles: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``profiles`` and everything else of their users."""
    users = assigned["user"].to_numpy()
    left = np.zeros(n_codes(assigned["user"]), dtype=bool)
    left[profiles["user"].to_numpy()] = True
    kept = left[users] & (assigned["role"] != ROLES.index("profile")).to_numpy()
    kept[profiles["row"].to_numpy()] = True
    return assigned.filter(kept)


def in_order(corpus: Corpus, members: Buckets, total: int) -> Iterator[pl.DataFrame]:
    """The members by name: users in order of first appearance, each user's reviews oldest first.

    Args:
        corpus: Of the reviews.
        members: From ``find_members``; given back.
        total: Their number.

    Yields:
        Tables of ``MEMBER_SCHEMA``.
    """
    # By position in the scan: 1 + the member's index in the result, or 0; and the role.
    index, roles = (
        numbers(corpus.read, dtype, corpus.folder, name) for name, dtype in (("index", np.uint32), ("role", np.uint8))
    )
    _place(corpus, members, index, roles)
    names, start = Scatter(max(1, -(-total // _PART_ROWS)), corpus.folder, "names", _NAMED), 0
    for batch in corpus.scan.batches("review_id", "user"):
        at = index[start : start + batch.height]
        found = np.flatnonzero(at)
        indices = np.asarray(at[found]) - np.uint32(1)
        role = np.asarray(roles[start : start + batch.height][found])
        names.add(batch[found].with_columns(index=pl.Series(indices), role=pl.Series(role)), indices // _PART_ROWS)
        start += batch.height
    names.finish()
    del index, roles
    for part in range(-(-total // _PART_ROWS)):
        rows = names[part]
        names.drop(part)
        rows = rows[np.argsort(rows["index"].to_numpy())]
        yield rows.select("review_id", "user", role=pl.Series(ROLES, dtype=pl.String).gather(rows["role"]))


def _place(corpus: Corpus, members: Buckets, index: np.ndarray, roles: np.ndarray) -> None:
    """Fill in the index in the result and the role, by position in the scan."""
    runs = [_runs(members[bucket]["appeared"].to_numpy()) for bucket in range(corpus.buckets)]
    firsts, sizes = (np.concatenate(columns) for columns in zip(*runs, strict=True))
    order = np.argsort(firsts)
    starts = np.empty(len(order), dtype=np.int64)
    starts[order] = np.cumsum(sizes[order]) - sizes[order]
    done = 0
    for bucket, (_, own) in enumerate(runs):
        rows = members[bucket]
        members.drop(bucket)
        within = np.arange(rows.height) - np.repeat(np.cumsum(own) - own, own)
        at = rows["position"].to_numpy()
        index[at] = np.repeat(starts[done : done + len(own)], own) + within + 1
        roles[at] = rows["role"].to_numpy()
        done += len(own)


def _runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values of a sorted array, and how often each occurs: int64."""
    starts = np.flatnonzero(np.diff(values, prepend=values[:1] + 1)) if len(values) else np.zeros(0, dtype=np.int64)
    return values[starts], np.diff(starts, append=len(values))
