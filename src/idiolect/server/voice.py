"""Answers in a user's voice: the method of a request, its prompt and the model that writes. Nothing here knows HTTP.

A text method becomes a system turn before the client's messages. A method with an adapter (DEP, PPlug) writes with the
model in this process, or with a vLLM server that takes the embeddings made here.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any

from idiolect.config import merge
from idiolect.data.control_tokens import neutralised
from idiolect.encoders import Encoder
from idiolect.errors import ConfigError, IdiolectError, NotFoundError
from idiolect.llm.base import LLM, Usage, reason_and_remedy
from idiolect.llm.registry import SANDBOX_BACKBONE, STREAMING, backend_of
from idiolect.llm.streaming import Listened, Listener
from idiolect.methods.base import ADAPTER_METHOD, BASELINE, METHODS, UNPERSONALIZED, Method, check_support, requirements
from idiolect.methods.muting import Muting
from idiolect.methods.soft_prompt import SoftPromptMethod
from idiolect.pipeline.adapters import check_adapter
from idiolect.pipeline.commands import load_settings
from idiolect.pipeline.data import gets, make_contexts
from idiolect.pipeline.models import MethodBuilder, Models
from idiolect.pipeline.settings import DifferenceConfig, Settings
from idiolect.pipeline.write import LoadedModels
from idiolect.prompts.rendering import digest
from idiolect.registry import suggest
from idiolect.retrieval import encodes
from idiolect.server.parts import part_of
from idiolect.server.peer_privacy import PrivateReader, peer_limits
from idiolect.server.personalization import Answer, AnswerError, Personalization, SilencedUnit, Voice
from idiolect.server.settings import ServerConfig
from idiolect.server.system_turn import NoAnswer, planned, request_parts, system_turn
from idiolect.server.tenants import Tenant
from idiolect.store.base import WithoutReviews
from idiolect.store.embedding import embed_missing
from idiolect.store.sql import SqlStore
from idiolect.types import Block, Item, ItemId, Message, Prediction, Prompt, Review, Role, Sample, UserId

SHIPPED_ADAPTER = SANDBOX_BACKBONE.with_name("adapter")
"""The small adapter that ships with the package."""
_TOY = "written by the toy model that ships with the package, which knows made-up reviews only: set endpoint or adapter"
SILENCED_REVIEWS = 8
"""Reviews of a user that are read twice by the model to see what a unit does: seconds each on a CPU."""


class Voices:
    """Turns requests into prompts, and with a model in this process into texts.

    Args:
        config: Settings of the server.

    Raises:
        ConfigError: The settings of the methods are wrong.
        NotFoundError: There is no such adapter.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.config, self._loaded, self._model_lock = config, LoadedModels(), threading.Lock()
        if "cache" in config.settings:
            raise ConfigError("a server keeps no record of answers", hint="leave cache out of settings")
        base: dict[str, Any] = {"encoder": config.encoder, "cache": None, "context": {"retriever": "bm25"}}
        if config.endpoint is not None:
            base["backbone"] = {"endpoint": config.endpoint.model_dump()}
        self.text = load_settings(changes=merge(base, config.settings))
        self.adapter = config.adapter or (None if config.endpoint else SHIPPED_ADAPTER)
        self.fitted = load_settings(self.adapter, changes=_fitted_changes(config)) if self.adapter else None
        self._loading = threading.Lock()
        self._salt = secrets.token_bytes(16)
        self.limits = peer_limits(config, [self.text, *([self.fitted] if self.fitted else [])])
        self._extraction = Models(NoAnswer(), self.text.sampling)
        self.upstream = config.endpoint

    def close(self) -> None:
        """Free the models."""
        self._loaded.close()
        self._extraction.__exit__()

    @property
    def encoders(self) -> tuple[str, ...]:
        """Encoders whose vectors every review needs."""
        used = [self.text, *([self.fitted] if self.fitted else [])]
        names = [name for one in used for name in (one.encoder, one.context.retriever_encoder) if name]
        return tuple(dict.fromkeys(names))

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The available methods."""
        kind = requirements(self.fitted.adapter_method).adapter if self.fitted else None
        return tuple(name for name in METHODS if requirements(name).adapter in (None, kind))

    @property
    def model_name(self) -> str:
        """What answers: the upstream's model, or the one in this process."""
        if self.upstream is not None:
            return self.upstream.model
        return (self.fitted or self.text).backbone.model

    def chosen(self, method: str) -> str:
        """The method for a name, with ``auto`` resolved.

        Raises:
            ConfigError: There is no such method, or it needs an adapter and there is none.
        """
        if method == "auto":
            method = self.config.method
        if method == "auto":
            fits = self.upstream is None or self.config.prompt_embeds
            return self.fitted.adapter_method if fits and self.fitted is not None else BASELINE
        if method not in METHODS:
            raise ConfigError(f"unknown method {method!r}", hint=suggest(method, self.methods))
        if method not in self.methods:
            raise ConfigError(f"{method} needs an adapter, and the server has no such", hint="another method")
        return method

    def writes(self, method: str) -> bool:
        """Whether ``write`` answers, not the upstream's chat: soft prompts are made in this process."""
        return self.upstream is None or requirements(method).adapter is not None

    def personalize(self, tenant: Tenant, voice: Voice, query: str) -> Personalization:
        """What is put into a chat, or why nothing is.

        Args:
            tenant: Whose store.
            voice: Whose voice.
            query: What the client asks for: past texts are retrieved for it.

        Raises:
            ConfigError: There is no such method.
        """
        method = self.chosen(voice.method)
        plain = "the method is not personalized" if method == UNPERSONALIZED else ""
        reasons = {"off": voice.off, "no user was named": not voice.user, plain: plain and not voice.item}
        reason = next((why for why, holds in reasons.items() if holds), "")
        if not reason and (profile := tenant.profile(voice.user)):
            if self.writes(method):  # it is personalized where it is written
                return Personalization(method=method, personalized=not plain, reason=plain, own_prompt=True)
            if plain:
                return self._item_turn(tenant, voice, query, reason=plain)
            return self._system_turn(tenant, voice, profile, query, method)
        notes = (_TOY,) if self.upstream is None and self.adapter == SHIPPED_ADAPTER else ()
        return Personalization(reason=reason or "the user is not known", notes=notes)

    def _item_turn(self, tenant: Tenant, voice: Voice, query: str, *, reason: str) -> Personalization:
        """The system turn that says what is written about, and nothing of the user."""
        if voice.units:
            raise _no_units(UNPERSONALIZED)
        items = _items(tenant.store, (), voice)
        item, notes = self._item(tenant.store, items, voice, query, searched=True)
        return Personalization(reason=reason, system="\n\n".join(request_parts(item, voice, whose="The")), notes=notes)

    def _system_turn(
        self, tenant: Tenant, voice: Voice, profile: Sequence[Review], query: str, method: str
    ) -> Personalization:
        """The system turn that puts a user's voice into a chat."""
        built, sample, reader, notes = self._build(tenant, voice, profile, query, self.text, self._extraction)
        shown = planned(built, sample)
        found = {review.id: review for review in reader.profile(sample.user)}
        anchors = [found[id] for id in shown.anchors if id in found]
        items = reader.items(list(dict.fromkeys([sample.item, *(review.item for review in anchors)])))
        text, kept = system_turn(shown.profile, anchors, items, items[sample.item] if voice.item else None, voice)
        return Personalization(
            method=method,
            personalized=True,
            system=text,
            evidence=tuple(str(review.id) for review in kept),
            peer_scopes={str(scope): n for scope, n in shown.peer_scopes.items()},
            notes=notes,
        )

    def streams(self, method: str) -> bool:
        """Whether a text of the method arrives while it is generated."""
        if not self.writes(method):
            return True
        settings = self._writer(method)
        return backend_of(settings.backbone) in STREAMING

    def _writer(self, method: str) -> Settings:
        """Settings of the model that ``write`` uses."""
        return self.fitted if self.fitted is not None and requirements(method).adapter else self.text

    def write(
        self,
        tenant: Tenant,
        voice: Voice,
        query: str,
        sampling: Mapping[str, Any],
        listener: Listener | None = None,
    ) -> Answer:
        """A text by the method's own prompt, by the model in this process or behind the endpoint.

        Args:
            tenant: Whose store.
            voice: Whose voice.
            query: What the client asks for; replaces the item, if none is named.
            sampling: Changes of the sampling settings.
            listener: Receives the text while it is generated.

        Raises:
            PartError: The model, the adapter or an encoder cannot be used.
            AnswerError: The model gave no answer.
            NotFoundError: The store knows no such user.
        """
        method = self.chosen(voice.method)
        if not (profile := tenant.profile(voice.user)):  # forgotten since
            raise NotFoundError("the store knows no such user", hint="ids are case-sensitive")
        settings = self._writer(method)
        settings = settings.model_copy(update={"sampling": settings.sampling.model_copy(update=dict(sampling))})
        here = settings.backbone.endpoint is None and settings.backbone.prompt_embeds is None
        with self._model_lock if here else nullcontext():
            llm = self._model(settings, tenant)
            with Models(llm, settings.sampling, listener=listener) as models:
                built, sample, _, notes = self._build(tenant, voice, profile, query, settings, models)
                prediction = built.generate([sample])[0]
        return _answer(prediction, llm, method, (*notes, *self._toy(settings)))

    def silenced(self, tenant: Tenant, user: UserId, unit: int) -> SilencedUnit:
        """What the user's latest reviews lose when a unit of the adapter's code is silenced.

        Args:
            tenant: Whose store.
            user: A known user.
            unit: Which.

        Raises:
            AdapterError: The adapter cannot be used.
            ConfigError: There is no such unit, or the model gives no likelihoods.
        """
        if self.fitted is None:
            raise ConfigError("the server has no adapter, and so no units", hint="set adapter")
        settings, profile = self.fitted, tenant.profile(user)
        if settings.backbone.endpoint is not None or settings.backbone.prompt_embeds is not None:
            raise ConfigError("a server of embeddings gives no likelihoods", hint="a model in this process")
        with self._model_lock:
            llm = self._model(settings, tenant)
            if "likelihood" not in llm.supports:
                raise ConfigError(f"{llm.name} gives no likelihoods", hint="another model")
            with Models(llm, settings.sampling) as models:
                latest = profile[-SILENCED_REVIEWS:]
                prompts = [self._with_and_without(tenant, one, profile, unit, settings, models) for one in latest]
                texts = [review.text for review in latest]
                whole, without = (llm.negative_log_likelihood(of, texts) for of in zip(*prompts, strict=True))
        return SilencedUnit(unit=unit, user=user, lost=tuple((without - whole).tolist()))

    def _with_and_without(
        self, tenant: Tenant, review: Review, profile: Sequence[Review], unit: int, settings: Settings, models: Models
    ) -> tuple[Prompt, Prompt]:
        """The prompts for a review, from the user's other reviews: as it is, and with the unit silenced."""
        voice = Voice(
            user=review.user,
            item=review.item,
            rating=review.rating,
            title=review.title,
            method=settings.adapter_method,
            units={unit: 1.0},
        )
        method, sample, _, _ = self._build(tenant, voice, profile, "", settings, models)
        assert isinstance(method, SoftPromptMethod)
        whole = method.prompts([sample])[0]
        method.adapter.scale_units({unit: 0.0})
        return whole, method.prompts([sample])[0]

    def complete(
        self,
        messages: Sequence[tuple[Role, str]],
        how: Personalization,
        sampling: Mapping[str, Any],
        listener: Listener | None = None,
    ) -> Answer:
        """What the model in this process answers to a chat; ``listener`` receives it while it is generated.

        Raises:
            AnswerError: The model gave no answer.
        """
        settings = self.text if self.config.settings.get("backbone") or self.fitted is None else self.fitted
        params = settings.sampling.model_copy(update=dict(sampling))
        with self._model_lock:
            with self._loading, part_of("model", (IdiolectError,)):
                llm = self._loaded.model(settings, "server")
            prompt = Prompt(tuple(Message(role, (Block((neutralised(text),)),)) for role, text in messages))
            writer = llm if listener is None else Listened(llm, listener)
            completion = writer.generate([prompt], params)[0]
        if completion.failure is not None:
            raise AnswerError(" ".join(reason_and_remedy(completion.failure)))
        how = replace(how, notes=tuple(dict.fromkeys([*how.notes, *self._toy(settings)])))
        return Answer(
            text=completion.text,
            truncated=completion.truncated,
            usage=Usage.of([completion]),
            model=llm.name,
            how=how,
        )

    def _model(self, settings: Settings, tenant: Tenant) -> LLM:
        """The model that writes; what a server of embeddings keeps of a prompt is of no use to another tenant."""
        with self._loading, part_of("model", (IdiolectError,)):
            llm = self._loaded.model(settings, tenant.where)
        if settings.backbone.prompt_embeds is None:
            return llm
        salted: Any = llm
        return salted.salted(hmac.new(self._salt, tenant.name.encode(), "sha256").hexdigest())

    def _toy(self, settings: Settings) -> tuple[str, ...]:
        shipped = settings.backbone.model == "sandbox" and settings.backbone.endpoint is None
        return (_TOY,) if shipped else ()

    def _build(
        self,
        tenant: Tenant,
        voice: Voice,
        profile: Sequence[Review],
        query: str,
        settings: Settings,
        models: Models,
    ) -> tuple[Method, Sample, PrivateReader, tuple[str, ...]]:
        """The method, what it is to write, what it reads, and notes; ``profile`` is not empty."""
        name, database, user = self.chosen(voice.method), tenant.store, profile[0].user
        needs = requirements(name)
        if voice.k is not None:
            k = min(voice.k, settings.context.k) if needs.adapter and settings.context.k else voice.k
            settings = settings.model_copy(update={"context": settings.context.model_copy(update={"k": k})})
        items = _items(database, profile, voice)
        item, notes = self._item(database, items, voice, query, searched=models is self._extraction)
        own = [review.id for review in profile if voice.item and review.item == item.id]
        reader = PrivateReader(
            WithoutReviews(database, own, user=user),
            replace(self.limits, least=max(self.limits.least, settings.context.min_peers)),
            {user: [review for review in profile if review.id not in own]},
            items | {item.id: item},
            corrections=voice.corrections,
        )
        retrieves, own_encoder = encodes(settings.context.retriever), settings.context.retriever_encoder
        compared = needs.peers and settings.differences.reads_vectors
        read = needs.vectors or compared or (retrieves and own_encoder is None)
        encoder = self._encoder(database, profile, settings.encoder) if read else None
        retrieving = self._encoder(database, profile, own_encoder) if retrieves and own_encoder else None
        contexts = make_contexts(
            reader,
            settings.context,
            encoder,
            vectors=needs.vectors,
            retrieving=retrieving,
            past=needs.past_vectors,
        )
        corrections = reader.corrections(user) if needs.history else []
        muting = Muting(
            corrections,
            reader.profile(user),
            gets(needs, settings),
            lambda: tenant.concept_erasure(encoder.name if encoder is not None and needs.vectors else None),
        )
        if models is self._extraction:
            settings = settings.model_copy(update={"differences": _own_models(settings.differences, settings)})
        if needs.adapter and self.adapter is not None and encoder is not None:
            check_support(name, needs.llm, models.own)
            words = digest(settings.prompt)
            with part_of("adapter"):
                check_adapter(self.adapter, encoder=encoder.name, backbone=models.own.name, templates=words)
        if voice.units and not needs.adapter:
            raise _no_units(name)
        builder = MethodBuilder(settings, models, reader, encoder, units=voice.units)
        with part_of("adapter") if needs.adapter else nullcontext():  # model, encoder and store were read before
            built = builder.build(name, muting.applied(contexts), adapter=self.adapter)
        sample = Sample(user=user, item=item.id, rating=voice.rating, title=voice.title)
        return built, sample, reader, (*notes, *muting.notes)

    @staticmethod
    def _item(
        database: SqlStore, items: Mapping[ItemId, Item | None], voice: Voice, query: str, *, searched: bool
    ) -> tuple[Item, tuple[str, ...]]:
        """What is written about, and notes: without a known item, what the client asks for stands in its place."""
        id = ItemId(voice.item or "request")
        item = items[id] if voice.item else None
        if item is not None:
            return item, ()
        if voice.item and database.reviews_of(id, exclude=UserId("")):
            return Item(id=id), ()
        title = " ".join(query.split())
        # Past texts are retrieved by descriptions; a prompt of the method shows title and description.
        item = Item(id=id, title=title[:300], description=title[:2000] if searched else "")
        return item, ("the item is not in the store",) if voice.item else ()

    def _encoder(self, database: SqlStore, profile: Sequence[Review], name: str) -> Encoder:
        """The encoder, once the user's reviews have its vectors: they lack them if another program added them."""
        with part_of("encoder", (IdiolectError,)):
            encoder = self._loaded.encoder(name)
        try:
            database.vectors([review.id for review in profile], encoder=encoder.name)
        except NotFoundError:
            embed_missing(database, encoder)
        return encoder


def _no_units(method: str) -> ConfigError:
    return ConfigError(f"{method} has no units to silence or boost", hint=f"write with {ADAPTER_METHOD}")


def _fitted_changes(config: ServerConfig) -> dict[str, Any]:
    """Settings of an adapter's model that are the server's."""
    if not config.prompt_embeds or config.endpoint is None:
        return {"cache": None}
    server = {
        "base_url": config.endpoint.base_url,
        "model": config.endpoint.model,
        "api_key_env": config.endpoint.api_key_env,
        "timeout_s": config.timeout_seconds,
    }
    return {"cache": None, "backbone": {"backend": "vllm-server", "prompt_embeds": server}}


def _items(database: SqlStore, profile: Sequence[Review], voice: Voice) -> dict[ItemId, Item | None]:
    """The items of the profile and of the request; None: the store does not know it."""
    wanted = dict.fromkeys([*((ItemId(voice.item),) if voice.item else ()), *(review.item for review in profile)])
    return {**wanted, **database.items(list(wanted))}


def _own_models(config: DifferenceConfig, settings: Settings) -> DifferenceConfig:
    """The roles with the run's model named, because the run's own answers nothing; the writer is that one."""
    roles = {
        name: role.model_copy(update={"backbone": role.backbone or settings.backbone})
        for name, role in config.roles.items()
    }
    return config.model_copy(update={**roles, "generator": None})


def _answer(prediction: Prediction, llm: LLM, method: str, notes: tuple[str, ...]) -> Answer:
    if prediction.failure is not None:
        raise AnswerError(" ".join(reason_and_remedy(prediction.failure)))
    usage = Usage.total(prediction.usage.values())
    how = Personalization(
        method=method,
        personalized=method != UNPERSONALIZED,
        evidence=tuple(map(str, prediction.anchors)),
        peer_scopes={str(scope): n for scope, n in prediction.peer_scopes.items()},
        notes=(*notes, *prediction.notes),
    )
    written = prediction.usage.get("write")
    return Answer(
        text=prediction.text,
        truncated=bool(written and written.truncated),
        usage=usage,
        model=llm.name,
        how=how,
    )
