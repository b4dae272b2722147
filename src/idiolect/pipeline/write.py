"""One review written from a live store, with everything it knows now."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from idiolect.difference.concept_erasure import MeasureErasure, fit_erasure
from idiolect.encoders import Encoder, load_encoder
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.llm.base import LLM, EndpointError, reason_and_remedy
from idiolect.methods.base import (
    ADAPTER_METHOD,
    BASELINE,
    METHODS,
    UNPERSONALIZED,
    Requirements,
    check_support,
    requirements,
)
from idiolect.methods.muting import Muting
from idiolect.pipeline.adapters import check_adapter, read_record
from idiolect.pipeline.commands import cache_path, load_settings, open_model
from idiolect.pipeline.data import gets, make_contexts, unranked_notes
from idiolect.pipeline.models import NEEDS_ADAPTER, MethodBuilder, Models
from idiolect.pipeline.settings import Settings
from idiolect.prompts.rendering import digest
from idiolect.registry import is_path, suggest
from idiolect.retrieval import encodes
from idiolect.store.base import WithoutReviews
from idiolect.store.embedding import embed_missing
from idiolect.store.privacy import user_in
from idiolect.store.single_review import check_said, read_rating
from idiolect.store.sql import SqlStore, said_alike
from idiolect.types import ItemId, Prediction, ReviewId, Sample, UserId

_log = logging.getLogger(__name__)


class LoadedModels:
    """Models and encoders that stay loaded from one text to the next; close it, or use it in a ``with`` block."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._models: dict[str, LLM] = {}
        self._encoders: dict[str, Encoder] = {}
        self._erasures: dict[tuple[str, str | None], tuple[object, MeasureErasure | None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free everything; what is asked for later is loaded again."""
        self._models.clear()
        self._encoders.clear()
        self._erasures.clear()
        self._open.close()
        self._open = ExitStack()

    def model(self, settings: Settings, store: str) -> LLM:
        """The run's model, loaded once per backbone and file of recorded answers."""
        key = f"{settings.backbone!r}|{cache_path(settings, store)}"
        if key not in self._models:
            self._models[key] = self._open.enter_context(open_model(settings, store))
        return self._models[key]

    def encoder(self, name: str) -> Encoder:
        """The encoder of this name, loaded once."""
        if name not in self._encoders:
            self._encoders[name] = load_encoder(name)
        return self._encoders[name]

    def concept_erasure(self, where: str, store: SqlStore, encoder: str | None) -> MeasureErasure | None:
        """What takes measures out of vectors, fitted once per encoder and state of the store.

        Args:
            where: The store's path or URL.
            store: The same, open.
            encoder: Name of the vectors' encoder; None: no vectors are read.
        """
        key, state = (where, encoder), (store.fingerprint(), store.erasures(), store.opted_out())
        if key not in self._erasures or self._erasures[key][0] != state:
            self._erasures[key] = state, fit_erasure(store, encoder)
        return self._erasures[key][1]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Written(Prediction):
    """What was written, and what the user had already written about the item; printed, it is the text."""

    own_reviews: tuple[ReviewId, ...] = ()
    """The user's own reviews of the item, oldest first."""
    own_reviews_shown: bool = False
    """Whether the model may have seen them."""
    units: Mapping[int, float] = field(default_factory=dict)
    """What units of the adapter's code were multiplied by."""

    def __repr__(self) -> str:
        return f"Written(user={self.sample.user!r}, item={self.sample.item!r}, method={self.method!r}, {self.text!r})"

    def __str__(self) -> str:
        return self.text


def write_review(
    store: str,
    *,
    user: str,
    item: str,
    adapter: Path | None = None,
    method: str = "auto",
    rating: float | str | None = None,
    title: str = "",
    backbone: str | None = None,
    encoder: str | None = None,
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    pseudonyms: Path | None = None,
    include_own_review: bool = False,
    units: Mapping[int, float] | None = None,
    resources: LoadedModels | None = None,
) -> Written:
    """Write one review from everything the store knows now, except the user's own reviews of this item.

    The user goes by their own id; where the store knows them by a pseudonym, ``pseudonyms`` is the file of its key.
    The method is ``auto`` (the adapter's, or RAG without an adapter), a name of ``idiolect.methods.base.METHODS``, or
    ``module:Class``.

    What the user already wrote about the item is the answer that is asked for, so no method is shown it, as text or as
    a vector, unless ``include_own_review``. ``Written.own_reviews`` says that it exists, and so does a warning.

    The rating is a number from 0 to 100, or a text such as ``4/5``, which is read as in files of reviews.

    ``units`` multiplies units of DEP's code before it is projected: 0 mutes a unit, 2 doubles it (docs/explain.md).

    With ``resources``, models stay loaded for the next call; without, they are loaded and freed here.

    Raises:
        NotFoundError: No such store, user, item, model or adapter.
        InputError: The rating cannot be read.
        ConfigError: No such method, DEP without an adapter, a backbone that takes no soft prompts, no such names, or no
            such unit.
        ArtifactError: The adapter was trained as a control, or does not fit encoder or backbone.
        EndpointError: The model that writes gave no answer.
    """
    rating = read_rating(rating)
    check_said(rating)
    _chosen(method, adapter)
    named = {"config": config, "changes": changes, "backbone": backbone, "encoder": encoder}
    if adapter is None:
        load_settings(**named)  # a wrong setting is an error before anything is opened
    else:
        read_record(adapter)
    with SqlStore(store, create=False) as database, ExitStack() as stack:
        loaded = resources or stack.enter_context(LoadedModels())
        settings = load_settings(adapter, **named, store=database)
        job = _Job(store, database, settings, loaded, _method(method, adapter, settings), adapter, units)
        sample = Sample(user=user_in(database, user, pseudonyms), item=ItemId(item), rating=rating, title=title)
        own = [review.id for review in database.profile(sample.user) if review.item == sample.item]
        reader = database if include_own_review else WithoutReviews(database, own, user=sample.user)
        prediction = job.write(sample, reader)
    if own and not include_own_review:
        _log.warning(
            "%r has already reviewed %r; that review was not shown to the model (show it: include_own_review=True)",
            user,
            item,
        )
    given = {one.name: getattr(prediction, one.name) for one in fields(prediction)}
    return Written(**given, own_reviews=tuple(own), own_reviews_shown=include_own_review, units=dict(units or {}))


@dataclass(frozen=True, slots=True)
class _Job:
    """One method on an open store, with the models that it needs."""

    store: str
    database: SqlStore
    settings: Settings
    loaded: LoadedModels
    method: str
    adapter: Path | None
    units: Mapping[int, float] | None

    def write(self, sample: Sample, reader: SqlStore | WithoutReviews) -> Prediction:
        """The text for a sample.

        Raises:
            EndpointError: The model that writes gave no answer.
        """
        needs, settings = requirements(self.method), self.settings
        if needs.adapter:
            _check_no_control(self.adapter, settings)
        elif self.units:
            raise ConfigError(f"{self.method} has no units to mute or boost", hint="write with DEP: adapter=FOLDER")
        _check_known(self.database, sample, needs)
        if (answers := cache_path(settings, self.store)) is not None:
            self.database.record_output(answers, "cache")
        vectors = _embedded(self.database, sample.user, needs, settings, self.loaded)
        contexts = make_contexts(
            reader,
            settings.context,
            vectors,
            vectors=needs.vectors,
            retrieving=_retrieving(self.database, sample.user, settings, self.loaded),
            past=needs.past_vectors,
        )
        muting = self._muting(sample.user, reader, needs, vectors)
        llm = self.loaded.model(settings, self.store)
        self._check_adapter(needs, vectors, llm)
        with Models(llm, settings.sampling, cache=answers) as models:
            builder = MethodBuilder(settings, models, reader, vectors, units=self.units)
            made = builder.build(self.method, muting.applied(contexts), adapter=self.adapter)
            prediction = made.generate([sample])[0]
            writer = models.roles(settings.differences, needs.roles).generator.llm
        if prediction.failure is not None:
            reason, hint = reason_and_remedy(prediction.failure)
            raise EndpointError(f"{writer.name} gave no answer: {reason}", hint=hint)
        notes = unranked_notes(settings, [sample], reader, [needs])
        return replace(prediction, notes=(*prediction.notes, *notes, *muting.notes))

    def _muting(
        self, user: UserId, reader: SqlStore | WithoutReviews, needs: Requirements, encoder: Encoder | None
    ) -> Muting:
        """Keeps out what the user muted; reads nothing but the corrections if there are none."""
        corrections = reader.corrections(user) if needs.history else []
        name = encoder.name if encoder is not None and needs.vectors else None
        return Muting(
            corrections,
            reader.profile(user) if corrections else [],
            gets(needs, self.settings),
            lambda: self.loaded.concept_erasure(self.store, self.database, name),
        )

    def _check_adapter(self, needs: Requirements, vectors: Encoder | None, llm: LLM) -> None:
        if self.adapter is not None and needs.adapter and vectors is not None:
            words = digest(self.settings.prompt)
            check_support(self.method, needs.llm, llm)
            check_adapter(self.adapter, encoder=vectors.name, backbone=llm.name, templates=words)


def _method(method: str, adapter: Path | None, settings: Settings) -> str:
    """The method that writes: with ``auto``, the adapter's own."""
    return settings.adapter_method if method == "auto" and adapter is not None else _chosen(method, adapter)


def _chosen(method: str, adapter: Path | None) -> str:
    known = ("auto", *METHODS)
    if method not in known and not is_path(method):
        raise ConfigError(f"unknown method {method!r}", hint=suggest(method, known))
    chosen = (ADAPTER_METHOD if adapter else BASELINE) if method == "auto" else method
    if adapter is None and not is_path(chosen) and requirements(chosen).adapter:
        raise ConfigError(f"{chosen} needs an adapter", hint=NEEDS_ADAPTER)
    return chosen


def _check_no_control(adapter: Path | None, settings: Settings) -> None:
    if settings.vectors != "right":
        raise ArtifactError(
            f"the adapter in {str(adapter)!r} is a control, trained with vectors = {settings.vectors}",
            hint="write with one that was fitted with vectors = right",
        )


def _check_known(database: SqlStore, sample: Sample, needs: Requirements) -> None:
    """Refuse what the store knows nothing of."""
    if not database.items([sample.item]) and not database.reviews_of(sample.item, exclude=UserId("")):
        raise NotFoundError(f"no item {sample.item!r} in the store", hint="check the id, or add the item to the store")
    if needs.history and not database.profile(sample.user):
        near = difflib.get_close_matches(sample.user, database.users(), n=1)
        alike = said_alike(database.alike(sample.user))
        hint = f"there is {alike}; " if alike else f"did you mean {near[0]!r}? " if near else ""
        raise NotFoundError(
            f"no review by user {sample.user!r} in the store",
            hint=f"{hint}method={UNPERSONALIZED} writes for a user who is not known",
        )


def _embedded(
    database: SqlStore, user: UserId, needs: Requirements, settings: Settings, loaded: LoadedModels
) -> Encoder | None:
    """The encoder, once every review has the vector that is read of it; None where the method reads text alone."""
    compared = needs.peers and settings.differences.reads_vectors
    retrieves = encodes(settings.context.retriever) and settings.context.retriever_encoder is None
    if not (needs.vectors or compared or retrieves):
        return None
    encoder = loaded.encoder(settings.encoder)
    read = [review.id for review in database.profile(user)]
    if needs.peers and settings.differences.clusters:
        read += _others(database, user)
    embed_missing(database, encoder, ids=read)
    if not_embedded := database.missing_vectors(encoder.name).height:
        _log.warning("%d reviews have no vector and are not used as peers; run idiolect embed", not_embedded)
    return encoder


def _retrieving(database: SqlStore, user: UserId, settings: Settings, loaded: LoadedModels) -> Encoder | None:
    """The retriever's own encoder, once the user's reviews have its vectors; None where it has none."""
    name = settings.context.retriever_encoder
    if name is None or not encodes(settings.context.retriever):
        return None
    encoder = loaded.encoder(name)
    embed_missing(database, encoder, ids=[review.id for review in database.profile(user)])
    return encoder


def _others(database: SqlStore, user: UserId) -> list[ReviewId]:
    """Everybody else's reviews of what the user wrote about: representatives are chosen from them."""
    items = dict.fromkeys(review.item for review in database.profile(user))
    return [review.id for item in items for review in database.reviews_of(item, exclude=user)]
