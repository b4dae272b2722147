"""The measures never saw the sandbox's phrases; here they must find what it planted all the same."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from idiolect.data.kcore import review_frame
from idiolect.difference.stylometry import NAMES, style_difference_frame
from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.world import World

# The bounds are set by eye, well below what 300 users of another seed gave.
SEEN = {
    "long_sentences": ("sentence_length", 0.25),
    "fancy_words": ("latinate_words", 0.2),
    "exclamation": ("exclamations", 0.75),
    "informality": ("contractions", 0.5),
    "positivity": ("tone", 0.1),
    "intensity": ("intensifiers", 0.45),
    "hedging": ("hedges", 0.3),
    "politeness": ("courtesies", 0.4),
    "specificity": ("numbers", 0.4),
    "causal_talk": ("causes", 0.4),
    "comparison": ("comparisons", 0.2),
    "narrative": ("story_words", 0.4),
    "thematic_depth": ("depth_words", 0.3),
    "verbosity": ("length", 0.6),
    "paragraphs": ("paragraphs", 0.6),
    "lists": ("list_lines", 0.6),
    "verdict_first": ("verdict_first", 0.3),
    "transitions": ("signposts", 0.25),
    "closings": ("sign_offs", 0.25),
    "quoting": ("quotations", 0.4),
    "questions": ("questions", 0.45),
    "address": ("reader_address", 0.45),
    "imperatives": ("imperatives", 0.15),
    "disclosure": ("disclosures", 0.1),
}


@pytest.fixture(scope="module")
def correlations() -> dict[str, float]:
    world = World(WorldConfig(seed=11, n_users=300, reviews_per_user=(6, 8)))
    effects = style_difference_frame(review_frame(world.reviews())).pivot("measure", index="user", values="effect")
    assert effects["user"].to_list() == list(world.truth.users)
    planted = pl.DataFrame(world.truth.user_effects, schema=list(world.truth.traits))
    return {
        trait: float(np.corrcoef(planted[trait], effects[name])[0, 1])
        for trait, (name, _) in SEEN.items()
        if trait in planted.columns
    }


def test_most_planted_traits_are_there_to_be_found(correlations: dict[str, float]) -> None:
    assert len(correlations) >= 20
    assert {name for name, _ in SEEN.values()} <= set(NAMES)


@pytest.mark.parametrize("trait", SEEN)
def test_the_matching_measure_sees_the_planted_trait(trait: str, correlations: dict[str, float]) -> None:
    if trait not in correlations:
        pytest.skip("the world plants no such trait")
    assert correlations[trait] > SEEN[trait][1]
