"""What the routes and the tools of MCP do with reviews and users, and the bodies of their requests."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from idiolect.data.values import clean_id
from idiolect.difference.claims.corrections import check_correction, hidden_by
from idiolect.difference.stylometry import MEASURES
from idiolect.erasure.forget import forget_user
from idiolect.errors import NotFoundError
from idiolect.explain.card import ExplainConfig, UserDifferences
from idiolect.explain.layout import REASONS, make_card
from idiolect.explain.likeness import likeness
from idiolect.explain.run import user_differences
from idiolect.explain.wording import phrase
from idiolect.methods.base import METHODS
from idiolect.server.http import UNITS_HELP, ApiError, Rating, Services, UnitFactors
from idiolect.server.keys import MOST_DAYS, MOST_GRACE_DAYS, Scope
from idiolect.server.peer_privacy import PrivateReader
from idiolect.server.personalization import AnswerError, Voice
from idiolect.server.tenants import Tenant
from idiolect.store.base import Correction
from idiolect.store.schema import refusal
from idiolect.store.single_review import check_said, new_review
from idiolect.types import Item, ItemId, Review, UserId

_Id = Annotated[str, Field(min_length=1, max_length=512)]


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Int = Annotated[int, BeforeValidator(_whole)]
"""A whole number; JSON knows no difference between 1 and 1.0."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ReviewIn(_Body):
    """A text that a user wrote about an item."""

    user: _Id
    item: _Id
    text: str = Field(min_length=1, max_length=200_000)
    rating: Rating = None
    title: str = Field("", max_length=2000)
    timestamp: _Int | None = Field(None, ge=0, description="Seconds since 1970; now, if not given.")
    id: str | None = Field(None, min_length=1, max_length=512, description="Made, if not given.")


class ItemIn(_Body):
    """What is written about."""

    id: _Id
    title: str = Field("", max_length=2000)
    description: str = Field("", max_length=20_000)
    category: str = Field("", max_length=200)


class BatchIn(_Body):
    """Many reviews, and items."""

    reviews: list[ReviewIn] = []
    items: list[ItemIn] = []


class Refused(_Body):
    """A row that was not stored."""

    id: str
    reason: str


class Added(_Body):
    """What became of the rows."""

    ids: list[str]
    """Of the reviews, in their order."""
    reviews_added: int
    reviews_known: int
    items_added: int
    items_known: int
    refused: list[Refused]


class Profile(_Body):
    """What is known of a user."""

    user: str
    reviews: int
    items: int
    first: int | None
    """Seconds since 1970."""
    last: int | None
    peer: bool
    """Whether others may be compared with the user."""
    corrections: int


class CorrectionIn(_Body):
    """What a user says about a difference."""

    state: Literal["muted", "corrected"]
    text: str = Field("", max_length=500, description="The user's own statement, if corrected.")


class WriteIn(_Body):
    """What is to be written."""

    user: _Id
    item: _Id
    rating: Rating = None
    title: str = Field("", max_length=2000)
    method: str = Field("auto", max_length=64, description=f"One of {', '.join(METHODS)}.")
    k: _Int | None = Field(None, ge=1, le=100, description="Past texts that are shown.")
    max_tokens: _Int | None = Field(None, ge=1, le=8192)
    temperature: float | None = Field(None, ge=0, le=2)
    seed: _Int | None = Field(None, ge=0, lt=2**31)
    corrections: bool = Field(True, description="Whether the user's corrections count; false shows what they change.")
    units: UnitFactors = Field(default={}, max_length=100_000, description=UNITS_HELP)


class ScoreIn(_Body):
    """A text, and whose it may be."""

    user: _Id
    text: str = Field(min_length=1, max_length=200_000)


class PeerIn(_Body):
    """Whether others may be compared with a user."""

    user: _Id
    peer: bool


class UserExport(_Body):
    """Everything a store knows of one user."""

    format: Literal["idiolect-user-1"] = "idiolect-user-1"
    user: _Id
    peer: bool = True
    items: list[ItemIn] = []
    reviews: list[ReviewIn] = []
    corrections: list[dict[Literal["difference", "text"], str]] = []


class KeyIn(_Body):
    """A new API key."""

    scopes: list[Scope] = Field(min_length=1)
    days: float | None = Field(None, gt=0, le=MOST_DAYS, description="After which it expires; never, if not given.")
    note: str = Field("", max_length=200)


class RotateIn(_Body):
    """How a key is replaced."""

    grace_days: float = Field(0, ge=0, le=MOST_GRACE_DAYS, description="How long the old key still works.")


def add(tenant: Tenant, batch: BatchIn, *, most: int, key: str | None = None) -> Added:
    """Store reviews and items with vectors and sums, all in one transaction.

    Raises:
        ApiError: There are too many rows, a text is empty, or the same idempotency key came with other rows.
    """
    if len(batch.reviews) + len(batch.items) > most:
        raise ApiError(413, f"more than {most} rows in one request", code="too_large")
    reviews = [_review(tenant, one, place, key) for place, one in enumerate(batch.reviews)]
    items = [Item(id=ItemId(clean_id(i.id)), title=i.title, description=i.description, category=i.category)
             for i in batch.items]  # fmt: skip
    # An id that was made here has the time in it, so that no other time can be in the store under it.
    undated = {
        review.id
        for review, given in zip(reviews, batch.reviews, strict=True)
        if given.timestamp is None and (given.id or key is not None)
    }
    report = tenant.add(items, reviews, undated)
    refused = [Refused(id=str(id), reason=reason) for id, reason in report.refused]
    if key is not None and any(id in {review.id for review in reviews} for id, _ in report.refused_reviews):
        raise ApiError(409, "this idempotency key came with other reviews", code="idempotency_conflict")
    return Added(
        ids=[str(review.id) for review in reviews],
        reviews_added=report.reviews_added,
        reviews_known=report.reviews_known,
        items_added=report.items_added,
        items_known=report.items_known,
        refused=refused,
    )


def _review(tenant: Tenant, given: ReviewIn, place: int, key: str | None) -> Review:
    check_said(given.rating, given.timestamp)
    if not given.text.strip():
        raise ApiError(400, "the review has no text", param=f"reviews.{place}.text", code="invalid_value")
    user, item = UserId(clean_id(given.user)), ItemId(clean_id(given.item))
    made = None
    if key is not None:
        made = sha256(f"{tenant.name}\0{key}\0{place}".encode(errors="surrogatepass")).hexdigest()[:32]
    review = new_review(
        user,
        item,
        given.text,
        rating=given.rating,
        title=given.title,
        timestamp=given.timestamp,
        id=given.id or made,
    )
    if reason := refusal(review):
        raise ApiError(400, f"the review cannot be stored: {reason}", param=f"reviews.{place}", code="invalid_value")
    return review


def known_user(tenant: Tenant, user: str) -> UserId:
    """The user's id.

    Raises:
        NotFoundError: There is no review by the user.
    """
    if (known := tenant.user(user)) is None:
        raise NotFoundError("the store knows no such user", hint="ids are case-sensitive")
    return known


def differences(services: Services, tenant: Tenant, user: str) -> dict[str, Any]:
    """A user's differences with evidence, muted and corrected ones marked."""
    id = known_user(tenant, user)
    config = ExplainConfig(min_peers=services.config.min_peers)
    result = user_differences(PrivateReader(tenant.store, services.voices.limits), id, config)
    card = make_card(result, config)
    corrections = tenant.store.corrections(id)
    hidden = hidden_by(corrections)
    states = {one.difference: one for one in corrections}
    found = []
    for claim in card.record()["measured"]:
        name = claim.pop("measure")
        claim["state"] = "active" if name not in hidden else "muted"
        own = states.get(name) or states.get(claim["attribute"])
        found.append({"difference": name, **claim, **({"state": own.state} if own else {})})
    return {
        "user": user,
        "verdict": card.verdict,
        "basis": card.basis,
        "left_out": card.left_out,
        "method": card.method,
        "abstains": card.abstains,
        "counts": {
            "reviews": card.n_reviews,
            "items": card.n_items,
            "peer_reviews": card.n_peer_reviews,
            "others": card.n_others,
            "measures": card.n_measures,
        },
        "rejected": [
            {"phrase": one.statement, "reason": REASONS.get(one.reason, one.reason), "detail": one.detail}
            for one in card.rejected
        ],
        "recurring": [
            {
                "sentence": one.sentence,
                "text": one.text,
                "place": one.place,
                "n": one.n,
                "of": one.of,
                "others": one.others,
                "of_others": one.of_others,
            }
            for one in card.recurring
        ],
        "measures": _every_measure(result),
        "differences": found,
        "corrections": [{"difference": c.difference, "state": c.state, "text": c.text} for c in corrections],
    }


def _every_measure(result: UserDifferences) -> list[dict[str, Any]]:
    """The effect on every measure, claimed or not; none, if nothing was compared."""
    if not result.compared.own:
        return []
    columns = (result.effect, result.low, result.high, result.claimed, result.own)
    return [
        {
            "measure": of.name,
            "category": of.category,
            "more": phrase(of, "more", float(own)),
            "less": phrase(of, "less", float(own)),
            "effect": float(effect),
            "low": float(low),
            "high": float(high),
            "claimed": bool(claimed),
        }
        for of, effect, low, high, claimed, own in zip(MEASURES, *columns, strict=True)
    ]


def correct(tenant: Tenant, user: str, difference: str, given: CorrectionIn) -> dict[str, str]:
    """Mute a difference, or put the user's own statement in its place."""
    if given.state == "corrected" and not given.text.strip():
        raise ApiError(400, "a correction needs a text", param="text", code="invalid_value")
    if given.state == "muted" and given.text:
        raise ApiError(400, "a muted difference has no text", param="text", code="invalid_value")
    correction = Correction(difference=difference, text=given.text.strip())
    check_correction(correction)
    with tenant.writing() as store:
        store.correct(known_user(tenant, user), correction)
    return {"difference": difference, "state": correction.state, "text": correction.text}


def write(services: Services, tenant: Tenant, given: WriteIn, trace: str) -> dict[str, Any]:
    """A text about an item as a user would write it, by the method's own prompt."""
    user = known_user(tenant, given.user)
    voice = Voice(
        user=user,
        source="body",
        item=given.item,
        rating=given.rating,
        title=given.title,
        method=given.method,
        k=given.k,
        corrections=given.corrections,
        units={int(unit): factor for unit, factor in given.units.items()},
    )
    sampling = {"max_new_tokens": given.max_tokens, "temperature": given.temperature, "seed": given.seed}
    try:
        answer = services.voices.write(
            tenant, voice, given.item, {name: value for name, value in sampling.items() if value is not None}
        )
    except AnswerError as error:
        raise ApiError(502, str(error)[:300], code="model_error") from None
    usage = answer.usage
    services.metrics.answers.labels(answer.how.method, "true").inc()
    names = ("calls", "prompt_tokens", "completion_tokens")
    cost = {**{name: getattr(usage, name) for name in names}, "price": usage.cost}
    return {
        "text": answer.text,
        "truncated": answer.truncated,
        "idiolect": {
            "trace_id": trace,
            "model": answer.model,
            **answer.how.record(),
            "cost": cost,
        },
    }


def score(services: Services, tenant: Tenant, user: str, text: str) -> dict[str, Any]:
    """How much a text sounds like a user; what the user muted or corrected does not count."""
    least, id = services.config.min_peers, known_user(tenant, user)
    reader = PrivateReader(tenant.store, services.voices.limits)
    muted = hidden_by(reader.corrections(id))
    return {"user": user, **likeness(reader, id, text, min_peers=least, without=muted).record()}


def forget(services: Services, tenant: Tenant, user: str) -> dict[str, Any]:
    """Erase a user, with a receipt that names no path of the server."""
    with tenant.erasing():
        receipt = forget_user(tenant.where, user).record()
    tenant.forgot()
    services.metrics.erasures.inc()
    for name in ("absent", "not_unlearned"):
        receipt[name] = len(receipt[name])
    receipt["erased"] = [{"what": one["what"], "count": one["count"]} for one in receipt["erased"]]
    receipt["not_reached"] = sorted({one["what"] for one in receipt["not_reached"]})
    del receipt["alike"]  # ids of other users
    return {"forgotten": receipt["reviews"] > 0, "receipt": receipt}


def profile(tenant: Tenant, user: str) -> Profile:
    """What is known of a user."""
    id = known_user(tenant, user)
    reviews = tenant.store.profile(id)
    times = [one.timestamp for one in reviews if one.timestamp is not None]
    return Profile(
        user=user,
        reviews=len(reviews),
        items=len({one.item for one in reviews}),
        first=min(times, default=None),
        last=max(times, default=None),
        peer=id not in tenant.store.opted_out(),
        corrections=len(tenant.store.corrections(id)),
    )
