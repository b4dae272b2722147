"""A live store: vectors for what is new, one review added, one review written."""

from __future__ import annotations

import difflib
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl
from pydantic import Field

from idiolect.config import Config
from idiolect.corpus.fields import parse_rating, parse_timestamp
from idiolect.corpus.records import digest_id
from idiolect.corpus.rejects import UnusableRow
from idiolect.corpus.split import Split
from idiolect.encoders.base import Encoder
from idiolect.encoders.table import load_encoder
from idiolect.errors import ArtifactError, ConfigError, InputError, NotFoundError
from idiolect.experiments.adapters import check_adapter
from idiolect.experiments.commands import cache_path, load_settings, open_model
from idiolect.experiments.conditions import make_dep
from idiolect.experiments.data import make_contexts
from idiolect.experiments.differences import Models, make_difference_methods
from idiolect.experiments.roles import DIFFERENCE_METHODS
from idiolect.experiments.settings import Settings
from idiolect.llm.failure import EndpointError
from idiolect.methods.base import Method, check_support
from idiolect.methods.dep import DEP
from idiolect.methods.nonpersonalized import NonPersonalized
from idiolect.methods.rag import RAG
from idiolect.store.embed import EmbedReport, embed_missing
from idiolect.store.pseudonym import Pseudonyms, check_names, user_in
from idiolect.store.rows import refusal
from idiolect.store.sql import SqlStore
from idiolect.types import ItemId, Prediction, Review, ReviewId, Sample, UserId

_log = logging.getLogger(__name__)

WriteMethod = Literal["auto", "nonpersonalized", "rag", "pag", "dpl", "drp", "dep"]
"""What ``write_review`` writes with; ``auto`` is dep with an adapter and rag without."""


class EmbedConfig(Config):
    """Which vectors are computed."""

    encoder: str = "minilm"
    """``minilm``, ``style``, ``hash``, or any sentence-transformers name or folder."""
    peers: Literal["corpus", "split"] = "corpus"
    """With a split: whose reviews peers are, everybody's or the split's users' (the setting ``peers`` of fit)."""
    batch_size: int = Field(default=32, gt=0)
    """Texts encoded together."""


def embed_store(
    store: str,
    encoder: str,
    *,
    split: Path | None = None,
    peers: Literal["corpus", "split"] = "corpus",
    batch_size: int = 32,
    progress: bool = False,
) -> EmbedReport:
    """Compute missing vectors, of the whole store or of what a split needs.

    Raises:
        NotFoundError: There is no store, or no such encoder.
        ArtifactError: The split is of another state of the store.
    """
    with SqlStore(store, create=False) as database:
        ids = _needed(database, split, peers) if split else None
        return embed_missing(database, load_encoder(encoder), ids=ids, batch_size=batch_size, progress=progress)


def add_review(
    store: str,
    *,
    user: str,
    item: str,
    text: str,
    rating: float | None = None,
    title: str = "",
    timestamp: int | None = None,
    encoder: str = "minilm",
    pseudonyms: Path | None = None,
) -> Review:
    """Add one review written now, with its vector; the item's sum follows in the same transaction as the vector.

    The store is then another one to the splits made of it: see ``split_store``. With ``pseudonyms``, the file of a key
    that is made where there is none, the user's id is hashed before anything is made of it.

    Raises:
        ConfigError: The text is empty, or the store holds other encoders' vectors only, or names users otherwise.
        InputError: The store refuses the review; where there is no store yet, none is made.
    """
    _check_said(rating, timestamp)
    if not text.strip():
        raise ConfigError("the review has no text", hint="pass --text")
    moment = int(time.time()) if timestamp is None else timestamp
    hashed = Pseudonyms.open(pseudonyms) if pseudonyms else None
    author = hashed(user) if hashed else UserId(user)
    review = Review(
        id=ReviewId(digest_id(author, item, moment, title, text, rating)),
        user=author,
        item=ItemId(item),
        text=text,
        rating=rating,
        title=title,
        timestamp=moment,
    )
    # Everything that can fail comes before the first write: a review without its vector would be half known.
    if reason := refusal(review):
        raise InputError(f"the review cannot be stored: {reason}", hint="change it and try again")
    _store(store, review, load_encoder(encoder), hashed)
    return review


def _store(store: str, review: Review, encoder: Encoder, hashed: Pseudonyms | None) -> None:
    """Review and vector, or neither."""
    vector = encoder.encode([review.text])
    with SqlStore(store) as database:
        check_names(database, hashed, take=True)
        held = database.encoders()
        if held and encoder.name not in held:
            raise ConfigError(f"the store holds vectors of {', '.join(held)}", hint="name their encoder with --encoder")
        report = database.add([], [review])
        if report.refused:
            raise InputError(f"the review cannot be stored: {report.refused[0][1]}", hint="change it and try again")
        database.add_vectors([review.id], vector, encoder=encoder.name)


def write_review(
    store: str,
    *,
    user: str,
    item: str,
    adapter: Path | None = None,
    method: WriteMethod = "auto",
    rating: float | None = None,
    title: str = "",
    backbone: str | None = None,
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    pseudonyms: Path | None = None,
) -> Prediction:
    """Write one review from everything the store knows now.

    The user goes by their own id; where the store knows them by a pseudonym, ``pseudonyms`` is the file of its key.

    Raises:
        NotFoundError: No such store, user, item, model or adapter.
        ConfigError: No such method, DEP without an adapter, a backbone that takes no soft prompts, or no such names.
        ArtifactError: The adapter was trained as a control, or does not fit encoder or backbone.
        EndpointError: The model that writes gave no answer.
    """
    _check_said(rating)
    chosen = _chosen(method, adapter)
    settings = load_settings(adapter, config=config, changes=changes, backbone=backbone)
    if chosen == "dep" and settings.vectors != "right":
        raise ArtifactError(
            f"the adapter in {str(adapter)!r} is a control, trained with vectors = {settings.vectors}",
            hint="write with one that was fitted with vectors = right",
        )
    with SqlStore(store, create=False) as database:
        sample = Sample(user=user_in(database, user, pseudonyms), item=ItemId(item), rating=rating, title=title)
        _check_known(database, sample, chosen)
        if (answers := cache_path(settings, store)) is not None:
            database.record_output(answers, "cache")
        # The encoder's full name keys the vectors; loading it also fills in what was written since the last embed.
        encoder = load_encoder(settings.encoder)
        embed_missing(database, encoder, ids=_read_vectors_of(database, sample.user, chosen, settings))
        if not_embedded := database.missing_vectors(encoder.name).height:
            _log.warning("%d reviews have no vector and are nobody's peers; run idiolect embed", not_embedded)
        with (
            open_model(settings, store) as llm,
            Models(llm, settings.sampling, cache=answers) as models,
        ):
            prediction = _make(chosen, models, settings, database, encoder, adapter).generate([sample])[0]
            writer = models.roles(settings.differences).write.llm if chosen in DIFFERENCE_METHODS else llm
    if "failure" in prediction.stages:
        raise EndpointError(f"{writer.name} gave no answer: {prediction.stages['failure']}", hint="try again later")
    return prediction


def _check_said(rating: float | None, timestamp: int | None = None) -> None:
    """Refuse what no file's row may say either."""
    try:
        parse_rating(rating)
        parse_timestamp(timestamp)
    except UnusableRow as reason:
        raise InputError(str(reason), hint="ratings are 0 to 100, timestamps seconds since 1970") from reason


def _chosen(method: str, adapter: Path | None) -> str:
    known = get_args(WriteMethod)
    if method not in known:
        raise ConfigError(f"unknown method {method!r}", hint=f"one of: {', '.join(known)}")
    chosen = ("dep" if adapter else "rag") if method == "auto" else method
    if chosen == "dep" and adapter is None:
        raise ConfigError("dep needs an adapter", hint="pass --adapter FOLDER, or another --method")
    return chosen


def _check_known(database: SqlStore, sample: Sample, method: str) -> None:
    """Refuse what the store knows nothing of."""
    if not database.items([sample.item]) and not database.reviews_of(sample.item, exclude=UserId("")):
        raise NotFoundError(f"no item {sample.item!r} in the store", hint="check the id, or ingest items with --items")
    if method != "nonpersonalized" and not database.profile(sample.user):
        near = difflib.get_close_matches(sample.user, database.users(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise NotFoundError(
            f"no review by user {sample.user!r} in the store",
            hint=f"{hint}--method nonpersonalized writes for a user who is not known",
        )


def _read_vectors_of(database: SqlStore, user: UserId, method: str, settings: Settings) -> list[ReviewId]:
    """The reviews whose vectors are read one by one: the user's, and those that representatives are chosen from."""
    own = database.profile(user)
    asked = settings.differences
    if method not in ("dpl", "drp") or not (asked.extractor or asked.validator):
        return [review.id for review in own]
    items = dict.fromkeys(review.item for review in own)
    others = (review for item in items for review in database.reviews_of(item, exclude=user))
    return [review.id for review in (*own, *others)]


def _make(
    name: str, models: Models, settings: Settings, database: SqlStore, encoder: Encoder, adapter: Path | None
) -> Method:
    """The method, on the live store."""
    contexts = make_contexts(database, settings.context, encoder, vectors=name == "dep")
    llm, how = models.own, settings.differences
    if name == "dep" and adapter is not None:
        check_support("dep", DEP.needs, llm)
        check_adapter(adapter, encoder=encoder.name, backbone=llm.name)
        return make_dep(adapter, llm, contexts, params=settings.sampling, prompt=settings.prompt)
    if name in DIFFERENCE_METHODS:
        shown = {"prompt": settings.prompt, "seed": settings.seed}
        return make_difference_methods([name], how, models, contexts, database, encoder, **shown)[0]
    plain = NonPersonalized if name == "nonpersonalized" else RAG
    return plain(llm, contexts, params=settings.sampling, prompt=settings.prompt)


def _needed(store: SqlStore, split: Path, peers: Literal["corpus", "split"]) -> list[ReviewId]:
    """The split's own reviews and, unless they are all the peers there are, every review of their items."""
    members = Split.load(split, fingerprint=store.fingerprint()).members
    if peers == "split":
        return [ReviewId(id) for id in members["review_id"]]
    frame = store.review_frame().select("review_id", "item")
    items = frame.join(members, on="review_id", how="semi")["item"].unique()
    return frame.filter(pl.col("item").is_in(items.implode()))["review_id"].to_list()
