"""A store, a split and an encoder: the samples and the snapshot of every phase."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import numpy as np

from idiolect.context.builder import ContextBuilder, ContextConfig
from idiolect.corpus.split import MemberRole, Split
from idiolect.errors import InputError
from idiolect.experiments.settings import Settings, TargetConfig
from idiolect.retrieval.base import Retriever
from idiolect.store.build import build_snapshot
from idiolect.store.snapshot import Snapshot
from idiolect.store.sql import SqlStore
from idiolect.types import Phase, Review, Sample

T = TypeVar("T")
ROLE: dict[Phase, MemberRole] = {"fit": "train", "validation": "validation", "test": "test"}


class Data:
    """What a run reads, phase by phase.

    Args:
        store: Reviews and vectors.
        folder: A split of that store; snapshots are kept beside it and reused while they fit.
        settings: Encoder, peers, targets and contexts.
        encoder: Full name of the encoder whose vectors the store holds.

    Raises:
        ArtifactError: The split was made from another state of the store.
    """

    def __init__(self, store: SqlStore, folder: Path, settings: Settings, *, encoder: str) -> None:
        self.store, self.folder, self.settings, self.encoder = store, folder, settings, encoder
        self.fingerprint = store.fingerprint()
        self.split = Split.load(folder, fingerprint=self.fingerprint)
        self._snapshots: dict[Phase, Snapshot] = {}

    def snapshot(self, phase: Phase) -> Snapshot:
        """What is visible in a phase; built where there is none that fits."""
        if phase not in self._snapshots:
            self._snapshots[phase] = self._open(phase) or build_snapshot(
                self.store,
                self.split.members,
                phase=phase,
                encoder=self.encoder,
                folder=self._where(phase),
                peers=self.settings.peers,
            )
        return self._snapshots[phase]

    def contexts(
        self, phase: Phase, config: ContextConfig | None = None, retriever: Retriever | None = None
    ) -> ContextBuilder:
        """The builder of a phase's contexts."""
        return ContextBuilder(
            self.snapshot(phase), config or self.settings.context, encoder=self.encoder, retriever=retriever
        )

    def samples(self, phase: Phase) -> list[Sample]:
        """The phase's samples, in the split's order.

        Raises:
            InputError: The split has none.
        """
        reviews = self.store.reviews(self.split.ids(ROLE[phase]))
        if not reviews:
            raise InputError(f"the split has no {ROLE[phase]} targets", hint=f"split again with {ROLE[phase]} > 0")
        return [Sample.of(review) for review in self._chosen(reviews, phase, self.settings.targets)]

    def _where(self, phase: Phase) -> Path:
        members = blake2b((self.folder / "members.parquet").read_bytes(), digest_size=4).hexdigest()
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", f"{phase}-{self.settings.peers}-{self.encoder}-{members}")
        return self.folder / "snapshots" / slug

    def _open(self, phase: Phase) -> Snapshot | None:
        """A snapshot from an earlier run, if the store holds nothing that it lacks."""
        where = self._where(phase)
        if not where.is_dir():
            return None
        snapshot = Snapshot.open(where)
        # Peers that had no vector then may have one now.
        fits = snapshot.meta.fingerprint == self.fingerprint and snapshot.meta.pool_without_vector == 0
        return snapshot if fits else None

    def _chosen(self, reviews: list[Review], phase: Phase, targets: TargetConfig) -> list[Review]:
        if phase == "fit":
            return reviews if targets.train_per_user == "all" else self._last_per_category(reviews)
        limit = targets.max_validation if phase == "validation" else targets.max_test
        return draw(reviews, limit, np.random.default_rng([targets.seed, phase == "test"]))

    def _last_per_category(self, reviews: list[Review]) -> list[Review]:
        items = self.store.items(sorted({review.item for review in reviews}))
        newest = {(r.user, items[r.item].category if r.item in items else ""): r for r in reviews}
        return list(newest.values())


def draw(values: list[T], limit: int | None, rng: np.random.Generator) -> list[T]:
    """At most ``limit`` of ``values``, drawn without replacement, in their own order."""
    if limit is None or limit >= len(values):
        return values
    return [values[i] for i in sorted(rng.permutation(len(values))[:limit].tolist())]
