"""Planted traits leave signs in the text; counted by patterns that know nothing of the generator's tables."""

from __future__ import annotations

import re

import numpy as np
import pytest

from idiolect.sandbox import NAMES, TRAITS, World, WorldConfig, describe
from idiolect.sandbox.domain import read
from idiolect.sandbox.traits import Scores

SIGNS = {
    "exclamation": r"!",
    "informality": r"\w'(?:s|t|re|ve|ll|d|m)\b|\b(?:kinda|yeah|tbh|gotta|nah|meh|okay|honestly|anyway)\b",
    "intensity": r"\b(?:really|absolutely|incredibly|totally|extremely|completely|insanely|utterly)\b",
    "hedging": r"\b(?:think|perhaps|suppose|maybe|may be|mistaken|seems? to me|as far as I|in my view|wrong)\b",
    "politeness": r"(?i)\b(?:thanks?|please|sorry|glad to|respect|grateful|kindly|compliments|regret|apologies)\b",
    "specificity": r"\d",
    "causal_talk": r"\b(?:because|since|so I|hence|which is why|reason|therefore)\b",
    "comparison": r"\b(?:than|unlike|compared|pale|shine|far (?:ahead|behind)|next to|closer to|better|worse)\b",
    "narrative": r"\b(?:Sunday|night|evening|weekend|Tuesday|Friday|holiday|breakfast|train|sister|dog)\b",
    "thematic_depth": r"(?i)\b(?:theme|parable|question of|beneath|underneath|meditation|deeper|matter of)\b",
    "verbosity": r"\w+",
    "paragraphs": r"\n\n",
    "lists": r"(?m)^- ",
    "transitions": r"(?i)\b(?:moreover|that said|in addition|furthermore|besides|next|on top of|finally|to sum up),",
    "quoting": r"\"",
    "questions": r"\?",
    "address": r"(?i)\b(?:you|your|yourself|friends,|dear reader)\b",
    "imperatives": r"(?i)(?:(?:^|[.!?;] )(?:go and|give|do not|don't|start|put|share|stop|take|skip|keep|look|try|stay"
    r"|forget|leave|mark|notice|wait)|\b(?:take note|remember|listen|mind|imagine|warn you|my words):)",
    "disclosure": r"(?i)\b(?:admit|confess|disclosure|disclaimer|for free|own pocket|nobody paid|in-laws|own up)\b",
    "verdict_first": r"\A(?:Verdict|Bottom line|Short version|In a word|Up front):",
}


def _by_item(values: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Each review's mean over the other reviews of its item."""
    sums, counts = np.bincount(items, values), np.bincount(items)
    return (sums[items] - values) / np.maximum(1, counts[items] - 1)


@pytest.fixture(scope="module")
def counted():
    config = WorldConfig(seed=12, n_users=300, n_items=40, reviews_per_user=(12, 12), user_sd=2.0, genre_sd=2.5)
    world = World(config)
    reviews = list(world.reviews())
    items = np.array([int(r.item.rsplit("i", 1)[1]) for r in reviews])
    counts = {trait: np.array([len(re.findall(p, r.text)) for r in reviews], float) for trait, p in SIGNS.items()}
    return world.truth.user_effects, items, counts


def _correlation(values: np.ndarray, effect: np.ndarray) -> float:
    return float(np.corrcoef(values.reshape(len(effect), -1).mean(1), effect)[0, 1])


@pytest.mark.parametrize("trait", SIGNS)
def test_signs_of_a_trait_follow_the_planted_user_effect(trait, counted):
    effects, items, counts = counted
    difference = counts[trait] - _by_item(counts[trait], items)
    assert _correlation(difference, effects[:, NAMES.index(trait)]) > 0.35


def test_the_difference_to_peers_shows_users_better_than_history_alone_where_genres_confound(counted):
    effects, items, counts = counted
    gains = [
        _correlation(counts[t] - _by_item(counts[t], items), effects[:, NAMES.index(t)])
        - _correlation(counts[t], effects[:, NAMES.index(t)])
        for t in SIGNS
    ]
    assert np.mean(gains) > 0.02
    assert np.mean(np.array(gains) > 0) > 0.8


def test_without_trait_strength_every_user_writes_alike():
    world = World(WorldConfig(trait_strength=0, n_users=3))
    assert np.ptp(np.concatenate([world.realised(u) for u in range(3)]), axis=0).max() == 0


def test_a_signature_is_used_in_its_share_of_reviews():
    world = World(WorldConfig(seed=2, n_users=150, signature_share=0.35))
    signatures = read("traits")["signature"]
    used = [any(phrase in review.text for phrase in signatures) for review in world.reviews()]
    assert np.mean(used) == pytest.approx(0.35, abs=0.04)


def test_traits_span_five_categories_in_the_order_of_the_scores():
    assert Scores._fields == NAMES
    assert len(TRAITS) >= 20
    assert {t.category for t in TRAITS} == {"Writing", "Emotion", "Semantics", "Structure", "Pragmatics"}


def test_a_description_names_the_strongest_differences_first():
    effect = np.zeros(len(NAMES))
    effect[NAMES.index("lists")], effect[NAMES.index("hedging")] = 2.0, -3.0
    assert describe(effect, k=2) == ("states opinions flatly", "lists points for and against")
