"""Making a snapshot: which reviews a phase sees, in which order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import sqlalchemy as sa

from idiolect.errors import InputError, NotFoundError
from idiolect.store import frames, layout, tables
from idiolect.store.files import META, SnapshotMeta, whole_folder
from idiolect.store.scrub import erasures
from idiolect.store.snapshot import Snapshot
from idiolect.store.sql import SqlStore
from idiolect.store.vectors import EncoderRow, find_encoder
from idiolect.store.visibility import PeerPool, is_history, is_peer
from idiolect.types import Phase


def build_snapshot(
    store: SqlStore,
    members: pl.DataFrame,
    *,
    phase: Phase,
    encoder: str,
    folder: str | Path,
    peers: PeerPool = "corpus",
) -> Snapshot:
    """Write what a phase may see as a memory-mapped folder.

    The folder appears whole or not at all; a snapshot of that name is replaced. Reviews of no role are nobody's
    history and may be peers.

    Args:
        store: Where the reviews and vectors are.
        members: The split: review_id, user, role (``SplitRole``), one row a review.
        phase: Whose view it is.
        encoder: Name of an encoder with vectors in the store.
        folder: Where to write.
        peers: "corpus": every review that the phase does not hide may be a peer; "split": of these only members.

    Raises:
        InputError: ``members`` does not fit the store, or ``folder`` holds something else.
        ArtifactError: A user was erased while the snapshot was made.
        NotFoundError: A review of the history has no vector.
    """
    with store.reading() as connection:
        since = erasures(connection)
    with whole_folder(Path(folder), placing=lambda: store.unerased(since)) as new, store.reading() as connection:
        source = find_encoder(connection, encoder)
        fingerprint, dated = connection.execute(sa.select(tables.meta.c.digest, tables.meta.c.n_dated)).one()
        candidates = _candidates(connection, members, source, phase, peers)
        rows = _in_order(candidates)
        users = layout.write_reviews(new, rows)
        items = layout.write_items(new, frames.item_frame(connection), rows)
        vectors = layout.write_vectors(new, connection, source, rows)
        layout.write_pool(new, rows, vectors, items, users)
        meta = SnapshotMeta(
            phase=phase,
            peers=peers,
            encoder=encoder,
            dim=source.dim,
            fingerprint=fingerprint,
            dated=dated > 0,
            users=users.height,
            items=items.height,
            history=int(rows["history"].sum()),
            pool=int(rows["peer"].sum()),
            pool_without_vector=candidates.height - rows.height,
        )
        (new / META).write_text(meta.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return Snapshot.open(folder)


def _candidates(
    connection: sa.Connection, members: pl.DataFrame, encoder: EncoderRow, phase: Phase, peers: PeerPool
) -> pl.DataFrame:
    """Every visible review with the columns seq, history, peer and has_vector besides its own."""
    reviews = _with_roles(frames.review_frame(connection, with_seq=True), members)
    apart = connection.scalars(sa.select(tables.not_peers.c.user)).all()
    stored = connection.scalars(sa.select(tables.vectors.c.review).where(tables.vectors.c.encoder == encoder.key)).all()
    reviews = reviews.with_columns(
        history=is_history(phase),
        peer=is_peer(phase, peers) & ~pl.col("user").is_in(apart),
        has_vector=pl.Series(np.isin(reviews["seq"].to_numpy(), np.array(stored, dtype=np.int64))),
    )
    missing = reviews.filter("history", ~pl.col("has_vector"))
    if missing.height:
        message = (
            f"{missing.height} reviews of the {phase} history have no vector, the first is {missing['review_id'][0]!r}"
        )
        raise NotFoundError(message, hint="run `idiolect embed` first")
    return reviews.filter(pl.col("history") | pl.col("peer"))


def _with_roles(reviews: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    members = members.select("review_id", "role", member="user")
    if members["review_id"].is_duplicated().any():
        twice = members.filter(members["review_id"].is_duplicated())["review_id"][0]
        raise InputError(f"review {twice!r} stands twice in the split", hint="a review has one role")
    joined = reviews.join(members, on="review_id", how="left", maintain_order="left")
    if joined["role"].count() < members.height:
        unknown = members.join(reviews, on="review_id", how="anti")
        message = (
            f"{unknown.height} reviews of the split are not in the store, the first is {unknown['review_id'][0]!r}"
        )
        raise InputError(message, hint="split the store's present content")
    foreign = joined.filter(pl.col("member") != pl.col("user"))
    if foreign.height:
        row = foreign.row(0, named=True)
        message = f"review {row['review_id']!r} is {row['user']!r}'s, the split says {row['member']!r}'s"
        raise InputError(message, hint="split the store's present content")
    return joined.drop("member")


def _in_order(candidates: pl.DataFrame) -> pl.DataFrame:
    """History first, so that a user's profile is a slice; oldest first, ties by id as in the live store."""
    # Polars puts reviews without a timestamp first, as ``Moment`` does.
    return candidates.filter("has_vector").sort(~pl.col("history"), "user", "timestamp", "order", "review_id")
