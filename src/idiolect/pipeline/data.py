"""A store, a split and an encoder: the samples and the snapshot of every phase."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import TypeVar

import numpy as np

from idiolect.context import SEED, ContextBuilder, ContextConfig
from idiolect.data.split import MemberRole, Split
from idiolect.encoders import Encoder, load_encoder
from idiolect.errors import ArtifactError, InputError, NotFoundError
from idiolect.methods.base import Contexts, Requirements
from idiolect.methods.chosen_controls import Twins
from idiolect.methods.controls import Vectors, with_vectors
from idiolect.methods.muting import Gets
from idiolect.pipeline.settings import TARGET_SEED, Settings, TargetConfig
from idiolect.prompts.template_sandbox import beginning
from idiolect.retrieval import encodes, make_retriever, query_text
from idiolect.store.base import ReviewReader
from idiolect.store.snapshot import Snapshot
from idiolect.store.snapshot_build import build_snapshot
from idiolect.store.sql import SqlStore
from idiolect.types import Item, Phase, Review, Sample

T = TypeVar("T")
Memoized = Callable[[Callable[[], Snapshot]], Snapshot]
ROLE: dict[Phase, MemberRole] = {"fit": "train", "validation": "validation", "test": "test"}


def _alone(make: Callable[[], Snapshot]) -> Snapshot:
    return make()


class Data:
    """What a run reads, phase by phase.

    Args:
        store: Reviews and vectors.
        folder: A split of that store; snapshots are stored in it and reused while they fit.
        settings: Encoder, peers, targets and contexts.
        encoder: Whose vectors the store holds.
        once: Does what one of several processes has to do for all of them; alone, a process just does it.

    Raises:
        ArtifactError: The split was made from another state of the store.
        NotFoundError: The store has no vectors of the encoder.
    """

    def __init__(
        self, store: SqlStore, folder: Path, settings: Settings, *, encoder: Encoder, once: Memoized = _alone
    ) -> None:
        self.store, self.folder, self.settings, self._once = store, folder, settings, once
        self.text_encoder, self.encoder = encoder, encoder.name
        self.retriever_encoder = retriever_encoder(settings.context, encoder)
        named = {self.retriever_encoder.name: settings.context.retriever_encoder, encoder.name: settings.encoder}
        for name, spec in named.items():
            if name not in store.encoders():
                raise NotFoundError(
                    f"the store has no vectors of {name!r}",
                    hint=f"store.embed({spec!r}), or idiolect embed --encoder {spec}",
                )
        self.dim = encoder.dim
        self.fingerprint = store.fingerprint()
        self.split = Split.load(folder, fingerprint=self.fingerprint)
        with (folder / "members.parquet").open("rb") as file:
            self.members = file_digest(file, lambda: blake2b(digest_size=8)).hexdigest()
        self._snapshots: dict[Phase, Snapshot] = {}

    def snapshot(self, phase: Phase) -> Snapshot:
        """What is visible in a phase; built if no existing one fits."""
        if phase not in self._snapshots:
            self._snapshots[phase] = self._once(lambda: self._open(phase) or self._build(phase))
        return self._snapshots[phase]

    def contexts(self, phase: Phase, *, vectors: Vectors | None = None, past: int = 0) -> Contexts:
        """Where a phase's contexts come from.

        Args:
            phase: What is visible.
            vectors: What takes the place of ``e_diff``; None: as the settings say.
            past: Number of further vectors of past reviews (``Requirements.past_vectors``).
        """
        right, settings = self.builder(phase, past=past), self.settings
        catalogue = self.snapshot(phase).catalogue
        return with_vectors(right, vectors or settings.vectors, catalogue=catalogue, seed=settings.seed)

    def builder(self, phase: Phase, *, past: int = 0) -> ContextBuilder:
        """The builder of a phase's contexts with the right vectors.

        Args:
            phase: What is visible.
            past: See ``contexts``.
        """
        # A snapshot holds one encoder's vectors; of a retriever's own only those of the reviews it ranks are read.
        return make_contexts(
            self.snapshot(phase), self.settings.context, self.text_encoder, retrieving=self.retriever_encoder,
            ranked=self.store, past=past,
        )  # fmt: skip

    def twins(self, phase: Phase) -> Twins:
        """Finds the most similar other user of the split, by what is visible in a phase."""
        snapshot, whole = self.snapshot(phase), {"k": 0, "retriever": "recency", "retriever_encoder": None}
        config = self.settings.context.model_copy(update=whole)
        return Twins(
            make_contexts(snapshot, config, self.text_encoder),
            lambda: set(snapshot.peers()).intersection(self.split.users),
            seed=self.settings.seed,
        )

    @property
    def evaluated(self) -> Phase:
        """The phase whose targets are evaluated."""
        return self.settings.targets.evaluated

    def has(self, phase: Phase) -> bool:
        """Whether the split has targets of this phase."""
        return bool(self.split.ids(ROLE[phase]))

    def samples(self, phase: Phase, *, beyond: int = 0) -> list[Sample]:
        """The phase's samples, in the split's order.

        Args:
            phase: Whose targets.
            beyond: Leave out the first so many of the draw, which are those of a run whose limit is this number.

        Raises:
            InputError: The split has none.
        """
        reviews = self.store.reviews(self.split.ids(ROLE[phase]))
        if not reviews:
            raise InputError(f"the split has no {ROLE[phase]} targets", hint=f"split again with {ROLE[phase]} > 0")
        chosen = self._chosen(reviews, phase, self.settings.targets, beyond)
        if not chosen:
            raise InputError(f"there are no {ROLE[phase]} targets beyond the first {beyond}", hint="evaluate those")
        samples = [Sample.of(review) for review in chosen]
        if (limit := self.settings.targets.max_chars) is None:
            return samples
        return [replace(one, reference=beginning(one.reference or "", limit)) for one in samples]

    def _where(self, phase: Phase) -> Path:
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", f"{phase}-{self.settings.peers}-{self.encoder}-{self.members[:8]}")
        return self.folder / "snapshots" / slug

    def _build(self, phase: Phase) -> Snapshot:
        where, peers, encoder = self._where(phase), self.settings.peers, self.encoder
        snapshot = build_snapshot(self.store, self.split, phase=phase, folder=where, encoder=encoder, peers=peers)
        self.store.record_output(where, "snapshot")
        return snapshot

    def _open(self, phase: Phase) -> Snapshot | None:
        """A snapshot from an earlier run, if the store holds nothing that it lacks.

        Only one that was built from this store: its arrays are mapped and indexed without a check of every number, so
        one that came with a split from elsewhere is rebuilt.
        """
        where = self._where(phase)
        if not where.is_dir() or self.store.outputs().get(where.resolve()) != "snapshot":
            return None
        try:
            snapshot = Snapshot.open(where)
        except ArtifactError:  # damaged or of an older format: it is only a copy
            return None
        # Peers that had no vector then may have one now.
        fits = snapshot.meta.fingerprint == self.fingerprint and snapshot.meta.pool_without_vector == 0
        return snapshot if fits else None

    def _chosen(self, reviews: list[Review], phase: Phase, targets: TargetConfig, beyond: int) -> list[Review]:
        if phase == "fit":
            chosen = reviews if targets.train_per_user == "all" else self._last_per_category(reviews)
            return draw(chosen, targets.max_train, np.random.default_rng([TARGET_SEED, 2]))
        limit = targets.max_validation if phase == "validation" else targets.max_test
        return draw(reviews, limit, np.random.default_rng([TARGET_SEED, phase == "test"]), beyond=beyond)

    def _last_per_category(self, reviews: list[Review]) -> list[Review]:
        items = self.store.items(sorted({review.item for review in reviews}))
        newest = {(r.user, items[r.item].category if r.item in items else ""): r for r in reviews}
        return list(newest.values())


def retriever_encoder(config: ContextConfig, encoder: Encoder) -> Encoder:
    """The encoder that a dense retriever compares with: its own, or the run's."""
    own = config.retriever_encoder
    return encoder if own is None or not encodes(config.retriever) else load_encoder(own)


def make_contexts(
    reader: ReviewReader,
    config: ContextConfig,
    encoder: Encoder | None,
    *,
    vectors: bool = True,
    retrieving: Encoder | None = None,
    ranked: ReviewReader | None = None,
    past: int = 0,
) -> ContextBuilder:
    """A builder with the retriever that the settings name, dense ones included; without ``vectors``, of text alone.

    Args:
        reader: What is visible.
        config: What goes into a context.
        encoder: Whose vectors entries have.
        vectors: Whether they have any.
        retrieving: Encoder of a dense retriever; None: ``encoder``.
        ranked: Holds its vectors; None: ``reader``.
        past: See ``ContextBuilder``.

    Raises:
        ConfigError: The retriever encodes, and there is no encoder.
    """
    how = {"encoder": retrieving or encoder, "reader": reader if retrieving is encoder else ranked or reader}
    retriever = make_retriever(config.retriever, seed=SEED, **how)
    name = encoder.name if encoder and vectors else None
    return ContextBuilder(reader, config, encoder=name, retriever=retriever, past=past)


def gets(needs: Requirements, settings: Settings) -> Gets:
    """What a method gets of the user, of which muted differences are kept out.

    Args:
        needs: Of the method.
        settings: Those it is built with.
    """
    if needs.past_vectors:
        texts = getattr(settings.adapter, "past_texts", 0) > 0
    else:
        texts = settings.prompt.with_text or not needs.adapter
    return Gets(vectors=needs.vectors, texts=needs.history and texts, words=bool(needs.analysis_roles))


def unranked_notes(
    settings: Settings, samples: Sequence[Sample], reader: ReviewReader, needs: Iterable[Requirements]
) -> Iterator[str]:
    """A note if BM25 ranks a user's reviews for samples that have no word to rank by.

    Args:
        settings: Which retrievers are used.
        samples: What is written.
        reader: Holds the items.
        needs: Of the methods that run.
    """
    asked = list(needs)
    shown = settings.context.retriever == "bm25" and any(one.history for one in asked)
    compared = settings.differences.comparison.retriever == "bm25" and any(one.peers and one.measures for one in asked)
    if not (shown or compared):
        return
    wanted = list(dict.fromkeys(sample.item for sample in samples))
    items = {id: Item(id=id) for id in wanted} | dict(reader.items(wanted))
    blank = sum(not query_text(sample, items).split() for sample in samples)
    if blank:
        what = "the past reviews in the prompt" if not compared else "the reviews that are compared with peers"
        yield (
            f"BM25 chooses {what} by title and item description; {blank} of {len(samples)} samples have neither, so "
            "the latest reviews were taken: add items with descriptions, or set the retriever to recency"
        )


def draw(values: list[T], limit: int | None, rng: np.random.Generator, *, beyond: int = 0) -> list[T]:
    """At most ``limit`` of ``values``, drawn without replacement, in their own order; without the ``beyond`` first.

    With the same generator, a smaller draw is part of a larger one.
    """
    if not beyond and (limit is None or limit >= len(values)):
        return values
    return [values[i] for i in sorted(rng.permutation(len(values))[beyond:limit].tolist())]
