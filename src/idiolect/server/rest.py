"""The REST routes: reviews and items in; profiles, differences, texts, scores and receipts out.

Users are named in the query or in the body, because an id may hold any character. No route returns another user's text.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request

from idiolect.difference.claims.corrections import check_correction
from idiolect.explain.likeness import drift
from idiolect.server.http import (
    ERRORS,
    ApiError,
    Caller,
    MayAdmin,
    MayErase,
    MayRead,
    MayWrite,
    Services,
    while_connected,
)
from idiolect.server.operations import (
    Added,
    BatchIn,
    CorrectionIn,
    ItemIn,
    KeyIn,
    PeerIn,
    Profile,
    ReviewIn,
    RotateIn,
    ScoreIn,
    UserExport,
    WriteIn,
    add,
    correct,
    differences,
    forget,
    known_user,
    profile,
    score,
    write,
)
from idiolect.store.base import Correction
from idiolect.types import Review

router = APIRouter(prefix="/v1", responses=ERRORS)
UserQuery = Annotated[str, Query(alias="user", min_length=1, max_length=512, description="Whose.")]
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=255, description="The same request again adds nothing."),
]


def _services(request: Request) -> Services:
    return request.app.state.services


def _add(request: Request, caller: Caller, batch: BatchIn, key: str | None = None, *, most: int | None = None) -> Added:
    services = _services(request)
    added = add(caller.tenant, batch, most=services.config.max_batch if most is None else most, key=key)
    services.metrics.reviews.inc(added.reviews_added)
    return added


@router.post("/reviews", tags=["reviews"], summary="Add a review")
def add_review(given: ReviewIn, request: Request, caller: MayWrite, key: IdempotencyKey = None) -> Added:
    """Stored with its vectors and sums in one transaction before the answer; the next text is written with it."""
    added = _add(request, caller, BatchIn(reviews=[given]), key)
    if added.refused:
        raise ApiError(409, added.refused[0].reason, code="conflict", param="id")
    return added


@router.post("/reviews/batch", tags=["reviews"], summary="Add reviews and items")
def add_batch(given: BatchIn, request: Request, caller: MayWrite, key: IdempotencyKey = None) -> Added:
    """All in one transaction; refused rows are listed with the reason."""
    return _add(request, caller, given, key)


@router.post("/items", tags=["reviews"], summary="Add an item")
def add_item(given: ItemIn, request: Request, caller: MayWrite) -> Added:
    """Title, description and category of what is written about."""
    added = _add(request, caller, BatchIn(items=[given]))
    if added.refused:
        raise ApiError(409, added.refused[0].reason, code="conflict", param="id")
    return added


@router.get("/reviews", tags=["reviews"], summary="A user's own reviews")
def list_reviews(
    user: UserQuery,
    caller: MayRead,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> dict[str, Any]:
    """Oldest first."""
    reviews = caller.tenant.store.profile(known_user(caller.tenant, user))
    shown = reviews[offset : offset + limit]
    items = caller.tenant.store.items(list(dict.fromkeys(one.item for one in shown)))
    titles = {id: item.title for id, item in items.items()}
    return {
        "total": len(reviews),
        "reviews": [{**_plain(one), "item_title": titles.get(one.item, "")} for one in shown],
    }


def _plain(review: Review) -> dict[str, Any]:
    names = ("id", "user", "item", "text", "rating", "title", "timestamp")
    return {name: getattr(review, name) for name in names}


@router.get("/profile", tags=["users"], summary="What is known of a user")
def get_profile(user: UserQuery, caller: MayRead) -> Profile:
    """Counts, times and settings."""
    return profile(caller.tenant, user)


@router.get("/differences", tags=["users"], summary="How a user differs from others, with evidence")
def get_differences(user: UserQuery, request: Request, caller: MayRead) -> dict[str, Any]:
    """Measured against others on the same items; quotes are the user's own sentences."""
    return differences(_services(request), caller.tenant, user)


@router.put("/differences/{difference:path}", tags=["users"], summary="Mute or correct a difference")
def put_correction(difference: str, given: CorrectionIn, user: UserQuery, caller: MayWrite) -> dict[str, str]:
    """Kept until undone; honoured by the card and by every method. The notes of an answer say what was done."""
    return correct(caller.tenant, user, difference, given)


@router.delete("/differences/{difference:path}", tags=["users"], summary="Undo a correction")
def delete_correction(difference: str, user: UserQuery, caller: MayWrite) -> dict[str, Any]:
    """The difference is claimed again, if it is measured."""
    id = known_user(caller.tenant, user)
    with caller.tenant.writing() as store:
        undone = store.undo_correction(id, difference)
    if not undone:
        raise ApiError(404, "this difference was neither muted nor corrected", code="not_found")
    return {"difference": difference, "state": "active"}


@router.put("/peer", tags=["users"], summary="Let others be compared with a user, or not")
def put_peer(given: PeerIn, caller: MayWrite) -> dict[str, Any]:
    """A user who is no peer still has their own voice."""
    with caller.tenant.writing() as store:
        changed = store.set_peer(known_user(caller.tenant, given.user), given.peer)
    caller.tenant.forgot()
    return {"user": given.user, "peer": given.peer, "changed": changed}


@router.post("/write", tags=["texts"], summary="Write about an item as a user would")
async def post_write(given: WriteIn, request: Request, caller: MayRead) -> dict[str, Any]:
    """By the method's own prompt, as in its paper."""
    services = _services(request)
    writing = partial(write, services, caller.tenant, given, caller.trace)
    return await while_connected(request, services.gate.run(writing))


@router.post("/score", tags=["texts"], summary="Does this sound like me?")
def post_score(given: ScoreIn, request: Request, caller: MayRead) -> dict[str, Any]:
    """How many of others' texts, and of the user's own, are less like the user; with what both get on average."""
    return score(_services(request), caller.tenant, given.user, given.text)


@router.get("/drift", tags=["users"], summary="Has a user's style changed?")
def get_drift(user: UserQuery, caller: MayRead) -> dict[str, Any]:
    """Windows of the user's dated reviews against each other, with a permutation test."""
    return {"user": user, **drift(caller.tenant.store, known_user(caller.tenant, user)).record()}


@router.delete("/users", tags=["users"], summary="Forget a user")
def delete_user(user: UserQuery, request: Request, caller: MayErase) -> dict[str, Any]:
    """Texts, vectors, sums and corrections are removed before the answer, which is a receipt."""
    return forget(_services(request), caller.tenant, user)


@router.get("/export", tags=["users"], summary="Everything that is known of a user")
def export_user(user: UserQuery, caller: MayRead) -> UserExport:
    """As `POST /v1/import` takes it, also of another tenant."""
    tenant, id = caller.tenant, known_user(caller.tenant, user)
    reviews = tenant.store.profile(id)
    items = tenant.store.items(list(dict.fromkeys(one.item for one in reviews)))
    return UserExport(
        user=user,
        peer=id not in tenant.store.opted_out(),
        items=[ItemIn(**asdict(item)) for item in items.values()],
        reviews=[ReviewIn(**_plain(review)) for review in reviews],
        corrections=[{"difference": c.difference, "text": c.text} for c in tenant.store.corrections(id)],
    )


@router.post("/import", tags=["users"], summary="Take a user's export in")
def import_user(given: UserExport, request: Request, caller: MayWrite) -> Added:
    """All reviews must be of the one user; what is known already is left as it is."""
    if any(review.user != given.user for review in given.reviews):
        raise ApiError(400, "a review is of another user", param="reviews", code="invalid_value")
    corrections = [Correction(difference=c.get("difference", ""), text=c.get("text", "")) for c in given.corrections]
    for correction in corrections:
        check_correction(correction)
    rows = len(given.reviews) + len(given.items)  # an export is one request, however much the user wrote
    added = _add(request, caller, BatchIn(reviews=given.reviews, items=given.items), most=rows)
    with caller.tenant.writing() as store:
        user = known_user(caller.tenant, given.user)
        for correction in corrections:
            store.correct(user, correction)
        if not given.peer:
            store.set_peer(user, False)
    caller.tenant.forgot()
    return added


@router.get("/keys", tags=["keys"], summary="The tenant's API keys")
def list_keys(request: Request, caller: MayAdmin) -> dict[str, Any]:
    """Without their secrets."""
    return {"keys": [key.record() for key in _services(request).keys.list(caller.tenant.name)]}


@router.post("/keys", tags=["keys"], summary="Make an API key")
def add_key(given: KeyIn, request: Request, caller: MayAdmin) -> dict[str, Any]:
    """Of the same tenant; the answer shows it once."""
    key, sent = _services(request).keys.add(caller.tenant.name, given.scopes, days=given.days, note=given.note)
    return {**key.record(), "key": sent}


@router.post("/keys/{id}/rotate", tags=["keys"], summary="Replace an API key")
def rotate_key(id: str, given: RotateIn, request: Request, caller: MayAdmin) -> dict[str, Any]:
    """A new key with the same scopes; the old one ends after the time of grace."""
    key, sent = _services(request).keys.rotate(id, tenant=caller.tenant.name, grace_days=given.grace_days)
    return {**key.record(), "key": sent}


@router.delete("/keys/{id}", tags=["keys"], summary="Revoke an API key")
def revoke_key(id: str, request: Request, caller: MayAdmin) -> dict[str, str]:
    """At once."""
    _services(request).keys.revoke(id, tenant=caller.tenant.name)
    return {"revoked": id}
