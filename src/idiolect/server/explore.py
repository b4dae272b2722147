"""REST routes to look around: users and items by name, evidence of a difference, similar users, the map of all users.

Other users are numbers. Their ids are shown to keys with the scope ``admin``, to others only where the operator allows
it (``show_users``); their texts too only where the operator allows it (``show_peers``).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
import polars as pl
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from idiolect.difference.claims.corrections import hidden_by
from idiolect.difference.stylometry import MEASURES, NAMES
from idiolect.errors import ConfigError
from idiolect.explain.brief import BriefClaim, brief_claims
from idiolect.explain.card import ExplainConfig
from idiolect.explain.evidence import evidence
from idiolect.explain.in_common import PairedEffect, in_common, opposite
from idiolect.explain.marking import stretches
from idiolect.explain.people_map import strongest
from idiolect.explain.run import find_all_differences
from idiolect.explain.wording import phrase
from idiolect.methods.base import ADAPTER_METHOD, DEFAULT_METHODS, UNPERSONALIZED, requirements
from idiolect.registry import suggest
from idiolect.server.http import ERRORS, Caller, MayRead, Services, while_connected
from idiolect.server.names import ShownMap, pseudonym
from idiolect.server.operations import known_user
from idiolect.server.peer_privacy import PrivateReader
from idiolect.server.rest import UserQuery
from idiolect.server.settings import DEFAULT_TENANT
from idiolect.server.tenants import Tenant
from idiolect.server.units import Units
from idiolect.server.voice import SHIPPED_ADAPTER, Voices
from idiolect.types import UserId
from idiolect.version import __version__

router = APIRouter(prefix="/v1", responses=ERRORS)
SearchQuery = Annotated[str, Query(max_length=512, description="Part of a name, in any case.")]
Limit = Annotated[int, Query(ge=1, le=200)]
Offset = Annotated[int, Query(ge=0, le=10**9, description="How many to leave out at the start.")]
_MOST_TEXTS = 6_000
"""Texts that are measured for one list of users: a few seconds of one core, and then they are known."""


class MarksIn(BaseModel):
    """A text, and what to look for in it."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=200_000)
    differences: list[str] = Field(max_length=len(NAMES), description="Names of measures.")


def _services(request: Request) -> Services:
    return request.app.state.services


def _sees_users(request: Request, caller: Caller) -> bool:
    """Whether the key may see who else is in the store."""
    return "admin" in caller.key.scopes or _services(request).config.show_users


def _people(request: Request, caller: Caller) -> ShownMap:
    services = _services(request)
    secret = None if _sees_users(request, caller) else services.tenants.secret
    return caller.tenant.shown_people(services.config.min_peers, secret)


@router.get("/overview", tags=["explore"], summary="What is here")
def get_overview(request: Request, caller: MayRead) -> dict[str, Any]:
    """Counts of the store, methods and models that can be asked for, and what the key may do."""
    services, counts = _services(request), caller.tenant.store.counts()
    voices, config = services.voices, services.config
    sees_results = caller.tenant.name == DEFAULT_TENANT and "admin" in caller.key.scopes
    return {
        "version": __version__,
        "items": counts.items,
        "reviews": counts.reviews,
        "methods": [
            {"name": name, "adapter": bool(requirements(name).adapter), "streams": voices.streams(name)}
            for name in voices.methods
        ],
        "default_method": voices.chosen("auto"),
        "model": voices.model_name,
        "toy": voices.upstream is None and voices.adapter == SHIPPED_ADAPTER,
        "first_methods": [UNPERSONALIZED, _best(voices)],
        "units": ADAPTER_METHOD if _has_units(voices) else None,
        "min_peers": config.min_peers,
        "show_peers": config.show_peers,
        "show_users": _sees_users(request, caller),
        "scopes": sorted(caller.key.scopes),
        "results": bool(config.results) and sees_results,
    }


def _best(voices: Voices) -> str:
    """The method that the page shows first: the one with an adapter or, without one, the last of the usual ones."""
    return ADAPTER_METHOD if ADAPTER_METHOD in voices.methods else DEFAULT_METHODS[-1]


def _has_units(voices: Voices) -> bool:
    """Whether the adapter may have a sparse code; looking at it loads torch, which the overview does not."""
    return voices.adapter is not None and voices.fitted is not None and voices.fitted.adapter_method == ADAPTER_METHOD


@router.get("/users", tags=["explore"], summary="Find users")
def list_users(
    request: Request, caller: MayRead, q: SearchQuery = "", limit: Limit = 20, offset: Offset = 0
) -> dict[str, Any]:
    """By a part of their id, with their number of reviews; for keys that may not see who else is here, by all of it."""
    store = caller.tenant.store
    if _sees_users(request, caller):
        found = store.find_users(q, limit, offset)
    else:
        user = caller.tenant.user(q) if q else None
        found = [] if user is None or offset else [(user, len(store.profile(user)))]
    return {"users": [{"user": user, "reviews": reviews} for user, reviews in found]}


@router.get("/users/differences", tags=["explore"], summary="The strongest difference of several users")
def list_differences(
    request: Request,
    caller: MayRead,
    users: Annotated[list[str], Query(alias="user", min_length=1, max_length=24, description="Whose.")],
) -> dict[str, Any]:
    """In words, and how many are claimed. It is null for a user of whom nothing is claimed, or all is muted.

    Users with very many compared reviews may be left out: `GET /v1/differences` has each of them.
    """
    services, tenant = _services(request), caller.tenant
    known = list(dict.fromkeys(id for user in users if (id := tenant.user(user)) is not None))
    config = ExplainConfig(min_peers=services.config.min_peers)
    reader = PrivateReader(tenant.store, services.voices.limits)
    found = tenant.claims(known, config.min_peers, lambda: brief_claims(reader, known, config, most_texts=_MOST_TEXTS))
    return {"users": [_strongest(tenant, user, claims) for user, claims in found.items()]}


def _strongest(tenant: Tenant, user: UserId, claims: Sequence[BriefClaim]) -> dict[str, Any]:
    hidden = hidden_by(tenant.store.corrections(user))
    active = [one for one in claims if one.measure not in hidden]
    return {"user": user, "phrase": active[0].phrase if active else None, "claimed": len(active)}


@router.get("/items", tags=["explore"], summary="Find items")
def list_items(caller: MayRead, q: SearchQuery = "", limit: Limit = 20, offset: Offset = 0) -> dict[str, Any]:
    """By a part of their id or title."""
    return {"items": [asdict(item) for item in caller.tenant.store.find_items(q, limit, offset)]}


@router.get("/evidence", tags=["explore"], summary="What a difference rests on")
def get_evidence(
    user: UserQuery,
    request: Request,
    caller: MayRead,
    difference: Annotated[str, Query(max_length=64, description="Name of a measure.")],
) -> dict[str, Any]:
    """The user's value and the others' mean on every compared item, and how many of the others are above and below."""
    services = _services(request)
    config = services.config
    least = ExplainConfig(min_peers=config.min_peers)
    reader = PrivateReader(caller.tenant.store, services.voices.limits)
    found = evidence(reader, known_user(caller.tenant, user), difference, least, texts=config.show_peers)
    return {
        "difference": difference,
        "unit": found.measure.unit,
        "histogram": found.histogram,
        "edges": found.edges,
        "items": [
            {
                "item": one.item.id,
                "title": one.item.title,
                "review": one.review.id,
                "text": one.review.text,
                "rating": one.review.rating,
                "own": one.own,
                "others": one.others,
                "above": one.above,
                "below": one.below,
                "equal": one.equal,
                **({"peer_texts": one.texts} if config.show_peers else {}),
            }
            for one in found.items
        ],
    }


@router.post("/marks", tags=["explore"], summary="Where a text shows measures of style")
def post_marks(given: MarksIn, caller: MayRead) -> dict[str, Any]:
    """Stretches as `[difference, start, end]`, counted in Unicode code points."""
    return {"marks": stretches(given.text, given.differences)}


@router.get("/nearest", tags=["explore"], summary="Users who differ from others in a similar way")
def get_nearest(
    user: UserQuery, request: Request, caller: MayRead, k: Annotated[int, Query(ge=1, le=20)] = 5
) -> dict[str, Any]:
    """By the cosine of their differences; with what both do more or less than others, and where they are opposite.

    A measure is named if it is claimed of one of the two and seen in both.
    """
    services, tenant, sees = _services(request), caller.tenant, _sees_users(request, caller)
    least = services.config.min_peers
    id = known_user(tenant, user)
    near = [one for one in tenant.people(least).nearest(id, k) if tenant.user(one.user) is not None]
    reader = PrivateReader(tenant.store, services.voices.limits)
    everybody = [id, *(one.user for one in near)]
    own, *others = find_all_differences(reader, everybody, ExplainConfig(min_peers=least))
    return {
        "nearest": [
            {
                "user": one.user if sees else pseudonym(one.user, services.tenants.secret),
                "similarity": one.similarity,
                "shared": [_paired(pair) for pair in in_common(own, found)],
                "apart": [_paired(pair) for pair in opposite(own, found)],
            }
            for one, found in zip(near, others, strict=True)
        ]
    }


def _paired(pair: PairedEffect) -> dict[str, Any]:
    return {**asdict(pair), "measure": pair.measure.name}


@router.get("/map", tags=["explore"], summary="All users in difference space")
def get_map(request: Request, caller: MayRead) -> dict[str, Any]:
    """The users in the order of the columns of `GET /v1/map/columns`, and what the two axes consist of."""
    people = _people(request, caller).people
    return {
        "users": people.users,
        "measures": [
            {
                "name": one.name,
                "category": one.category,
                "more": phrase(one, "more", 1.0),
                "less": phrase(one, "less", 1.0),
            }
            for one in MEASURES
        ],
        "axes": [
            {"explained": share, "measures": strongest(loadings)}
            for share, loadings in zip(people.explained, people.loadings, strict=True)
        ],
    }


@router.get("/map/columns", tags=["explore"], summary="A column of the map", response_class=Response)
def get_map_column(
    request: Request,
    caller: MayRead,
    name: Annotated[str, Query(max_length=64, description="x, y, items, a measure, or unit:NUMBER.")],
) -> Response:
    """One little-endian 32-bit float per user: a coordinate, the number of compared items, or an effect."""
    people, ids = _people(request, caller)
    if name.startswith("unit:"):
        return _floats(_units(request, caller).column(_number(name), ids))
    special = {"x": people.points[:, 0], "y": people.points[:, 1], "items": people.n_items}
    if name not in special and name not in NAMES:
        raise ConfigError(f"unknown column {name!r}", hint=suggest(name, (*special, *NAMES)))
    column = special[name] if name in special else people.effects[:, NAMES.index(name)]
    return _floats(column)


def _floats(column: np.ndarray) -> Response:
    return Response(np.ascontiguousarray(column, dtype="<f4").tobytes(), media_type="application/octet-stream")


def _number(name: str) -> int:
    digits = name.removeprefix("unit:")
    return int(digits) if digits.isdecimal() and len(digits) < 8 else -1


def _units(request: Request, caller: Caller) -> Units:
    adapter = _services(request).voices.adapter
    if adapter is None:
        raise ConfigError("the server has no adapter, and so no units", hint="set adapter")
    return caller.tenant.units(adapter)


@router.get("/units", tags=["explore"], summary="The units of the adapter's code")
def list_units(request: Request, caller: MayRead) -> dict[str, Any]:
    """With their statistics on the tenant's reviews, and labels for those that change soft prompts most."""
    return _units(request, caller).listed()


@router.get("/units/unit", tags=["explore"], summary="One unit")
def get_unit(request: Request, caller: MayRead, number: Annotated[int, Query(ge=0, lt=10**7)]) -> dict[str, Any]:
    """Label with its detection score, users who have it, and top reviews; their texts if `show_peers` is set."""
    services = _services(request)
    found = _units(request, caller).unit(number, texts=services.config.show_peers)
    if not _sees_users(request, caller):
        for one in (*found["top"], *found["have"]):
            one["user"] = pseudonym(one["user"], services.tenants.secret)
        for one in found["top"]:
            del one["review"]
    known = caller.tenant.store.items([one["item"] for one in found["top"]])
    for one in found["top"]:
        one["item_title"] = known[one["item"]].title if one["item"] in known else ""
    return found


@router.get("/units/effect", tags=["explore"], summary="What a user's reviews lose without a unit")
async def get_unit_effect(
    user: UserQuery, request: Request, caller: MayRead, number: Annotated[int, Query(ge=0, lt=10**7)]
) -> dict[str, Any]:
    """In nats per review of the user's latest reviews, each written from the others, with the unit silenced."""
    services = _services(request)

    def effect() -> dict[str, Any]:
        _units(request, caller).check(number)
        return services.voices.silenced(caller.tenant, known_user(caller.tenant, user), number).record()

    return await while_connected(request, services.gate.run(effect))


@router.get("/units/user", tags=["explore"], summary="The units in which a user stands out")
def get_units_of_user(user: UserQuery, request: Request, caller: MayRead) -> dict[str, Any]:
    """Those to silence or boost in `POST /v1/write`."""
    return {"units": _units(request, caller).of_user(known_user(caller.tenant, user))}


@router.get("/map/parquet", tags=["explore"], summary="The map as a file", response_class=Response)
def get_map_file(request: Request, caller: MayRead) -> Response:
    """A Parquet file for other tools: user, x, y, items, and an effect per measure."""
    people = _people(request, caller).people
    places = {"user": people.users, "x": people.points[:, 0], "y": people.points[:, 1], "items": people.n_items}
    effects = {name: people.effects[:, place] for place, name in enumerate(NAMES)}
    file = io.BytesIO()
    pl.DataFrame({**places, **effects}).write_parquet(file)
    return Response(file.getvalue(), media_type="application/vnd.apache.parquet")
