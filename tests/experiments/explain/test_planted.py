"""The card never saw what the sandbox planted; what it claims must be there, and nothing where nothing is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from idiolect.explain.card import ExplainConfig, UserDifferences
from idiolect.explain.run import find_all_differences
from idiolect.peers import InMemoryReviews
from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.world import World
from idiolect.types import Review

MEASURED_BY = {
    "long_sentences": "sentence_length",
    "fancy_words": "latinate_words",
    "exclamation": "exclamations",
    "informality": "contractions",
    "positivity": "tone",
    "intensity": "intensifiers",
    "hedging": "hedges",
    "politeness": "courtesies",
    "specificity": "numbers",
    "causal_talk": "causes",
    "comparison": "comparisons",
    "narrative": "story_words",
    "thematic_depth": "depth_words",
    "verbosity": "length",
    "paragraphs": "paragraphs",
    "lists": "list_lines",
    "verdict_first": "verdict_first",
    "transitions": "signposts",
    "closings": "sign_offs",
    "quoting": "quotations",
    "questions": "questions",
    "address": "reader_address",
    "imperatives": "imperatives",
    "disclosure": "disclosures",
}
N_USERS = 100


def all_differences(world: World, reviews: Iterable[Review]) -> Iterator[UserDifferences]:
    reader = InMemoryReviews([], reviews, {}, encoder="none")
    users = [world.user_id(user) for user in range(N_USERS)]
    return find_all_differences(reader, users, ExplainConfig())


def test_what_a_card_claims_was_planted_and_claims_are_not_rare():
    world = World(WorldConfig(seed=7, n_users=120, n_items=110))
    planted = {name: world.truth.user_effects[:, world.truth.traits.index(name)] for name in MEASURED_BY}
    signs = []
    for user, found in enumerate(all_differences(world, world.reviews())):
        claims = {claim.measure.name: claim.sign for claim in found.claims}
        signs += [claims[name] * np.sign(planted[trait][user]) for trait, name in MEASURED_BY.items() if name in claims]
    assert len(signs) > N_USERS
    assert np.mean(np.array(signs) > 0) > 0.92


def test_where_users_are_alike_almost_nobody_is_told_apart():
    # Their ratings are still lenient or strict and their pet words their own, and some of that is seen.
    world = World(WorldConfig(seed=7, n_users=120, n_items=110, user_sd=0, signature_share=0))
    assert np.mean([not found.claims for found in all_differences(world, world.reviews())]) > 0.88


def test_where_authors_are_shuffled_within_items_at_most_one_in_twenty_is_told_apart():
    world = World(WorldConfig(seed=7, n_users=120, n_items=110))
    alone = [not found.claims for found in all_differences(world, shuffled(world.reviews(), np.random.default_rng(0)))]
    assert np.mean(alone) > 0.92


def shuffled(reviews: Iterable[Review], rng: np.random.Generator) -> Iterator[Review]:
    """The same reviews under names drawn from those who wrote about the item: nobody has a voice of their own."""
    by_item: dict[str, list[Review]] = defaultdict(list)
    for review in reviews:
        by_item[review.item].append(review)
    for of_item in by_item.values():
        for review, place in zip(of_item, rng.permutation(len(of_item)), strict=True):
            yield replace(review, user=of_item[place].user)
