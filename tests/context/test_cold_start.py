"""Where an item has too few peers, whoever stands in for them is said, and counted as peers are."""

from __future__ import annotations

import numpy as np
import pytest

from idiolect.context import ContextBuilder, ContextConfig
from idiolect.peers import InMemoryReviews
from idiolect.types import Item, Review, Sample

ITEMS = [Item(id=name, category=category) for name, category in (("x", "tea"), ("y", "tea"), ("z", "cup"), ("w", ""))]
# ann alone wrote about y, z and w; two others wrote about x.
ROWS = [("ann", "x"), ("ann", "y"), ("ann", "z"), ("ann", "w"), ("bob", "x"), ("cid", "x"), ("bob", "v"), ("dan", "v")]
REVIEWS = [
    Review(id=f"{user}-{item}", user=user, item=item, text=f"{user} on {item}", timestamp=k, order=k)
    for k, (user, item) in enumerate(ROWS)
]
VECTORS = {r.id: np.random.default_rng(k).uniform(-1, 1, 3).astype(np.float16) for k, r in enumerate(REVIEWS)}
SAMPLE = Sample(user="ann", item="x")


def entries(sample: Sample = SAMPLE, *, apart: tuple[str, ...] = (), **settings):
    reader = InMemoryReviews(ITEMS, REVIEWS, VECTORS, encoder="e", opted_out=apart)
    (context,) = ContextBuilder(reader, ContextConfig(**settings), encoder="e").build([sample])
    return {entry.review.item: entry for entry in context.entries}


def away_from(own: str, *others: str) -> np.ndarray:
    return VECTORS[own] - np.mean([VECTORS[other] for other in others], axis=0, dtype=np.float64)


def peer_scopes(found) -> dict[str, str]:
    return {item: entry.peer_scope for item, entry in found.items()}


@pytest.mark.parametrize(
    ("cold_start", "expected"),
    [
        ("none", {"x": "item", "y": "none", "z": "none", "w": "none"}),
        ("category", {"x": "item", "y": "category", "z": "none", "w": "none"}),
        ("corpus", {"x": "item", "y": "category", "z": "corpus", "w": "corpus"}),
    ],
)
def test_the_next_scope_is_used_if_one_has_too_few(cold_start, expected):
    found = entries(cold_start=cold_start)
    assert peer_scopes(found) == expected
    assert all((entry.e_diff is None) == (entry.peer_scope == "none") for entry in found.values())


def test_a_difference_is_to_the_mean_of_everybody_else_in_the_scope():
    found = entries(cold_start="corpus")
    tea, everybody = ("bob-x", "cid-x"), ("bob-x", "cid-x", "bob-v", "dan-v")
    np.testing.assert_allclose(found["x"].e_diff, away_from("ann-x", *tea), atol=1e-6)
    np.testing.assert_allclose(found["y"].e_diff, away_from("ann-y", *tea), atol=1e-6)
    np.testing.assert_allclose(found["z"].e_diff, away_from("ann-z", *everybody), atol=1e-6)
    assert [found[item].n_peers for item in "xyzw"] == [2, 2, 4, 4]


def test_min_peers_counts_users_in_every_scope():
    """Two wrote about tea, three in all; four reviews, for bob wrote two."""
    assert peer_scopes(entries(cold_start="corpus", min_peers=2)) == {
        "x": "item", "y": "category", "z": "corpus", "w": "corpus"
    }  # fmt: skip
    found = entries(cold_start="corpus", min_peers=3)
    assert set(peer_scopes(found).values()) == {"corpus"}
    assert {entry.n_peers for entry in found.values()} == {4}
    assert set(peer_scopes(entries(cold_start="corpus", min_peers=4)).values()) == {"none"}


def test_users_who_opted_out_are_in_no_scope():
    found = entries(cold_start="corpus", apart=("bob",))
    np.testing.assert_allclose(found["y"].e_diff, away_from("ann-y", "cid-x"), atol=1e-6)
    np.testing.assert_allclose(found["z"].e_diff, away_from("ann-z", "cid-x", "dan-v"), atol=1e-6)


def test_a_time_cut_holds_in_every_scope():
    sample = Sample(user="ann", item="q", timestamp=6, order=99, target="target")
    found = entries(sample, cold_start="corpus", peers_before=True)
    np.testing.assert_allclose(found["z"].e_diff, away_from("ann-z", "bob-x", "cid-x"), atol=1e-6)


def test_a_weighting_of_peers_leaves_the_fallback_alone():
    plain, weighted = entries(cold_start="corpus"), entries(cold_start="corpus", peer_weighting="profile_distance")
    np.testing.assert_array_equal(plain["z"].e_diff, weighted["z"].e_diff)
    assert peer_scopes(plain) == peer_scopes(weighted)
