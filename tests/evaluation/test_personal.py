"""A gain is called personal only where everything that lacks the user loses it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.errors import ConfigError
from idiolect.evaluation.attribution import Claim, judge
from idiolect.evaluation.significance import Resamples
from idiolect.types import ConditionId

USERS, EACH = 60, 3
N = USERS * EACH
DRAWS = Resamples(N, np.random.default_rng(3), clusters=np.repeat(np.arange(USERS), EACH).tolist(), resamples=300)
RAG, DEP, OTHER, CONSTANT = map(ConditionId, ("rag", "dep", "other", "constant"))
CLAIM = Claim(method=DEP, baseline=RAG, controls=(OTHER, CONSTANT))


def nats(
    dep: float, other: float, constant: float, *, noise: float = 0.5, rag: float = 0.0
) -> dict[ConditionId, np.ndarray]:
    """Runs that are better than RAG by so many nats a review, give or take ``noise``."""
    rng = np.random.default_rng(5)
    base = rng.normal(90.0, 20.0, N)
    means = {RAG: rag, DEP: dep, OTHER: other, CONSTANT: constant}
    return {name: base - mean + rng.normal(0.0, noise, N) for name, mean in means.items()}


@pytest.mark.parametrize(
    ("gains", "outcome", "opens"),
    [
        ({"dep": 2.0, "other": 0.0, "constant": 0.2}, "holds", "personal: dep gains"),
        ({"dep": 2.0, "other": -1.0, "constant": 1.5}, "holds", "personal: dep gains"),
        ({"dep": 2.0, "other": 2.0, "constant": 0.0}, "fails", "not personal: dep gains"),
        ({"dep": 2.0, "other": 0.0, "constant": 2.1}, "fails", "not personal: dep gains"),
        ({"dep": 0.0, "other": -1.0, "constant": 0.0}, "no gain", "no gain: dep is not clearly better than rag"),
        ({"dep": -2.0, "other": -2.0, "constant": 0.0}, "no gain", "no gain: dep is worse than rag"),
        ({"dep": 2.0, "other": 1.2, "constant": 0.0, "noise": 4.0}, "undecided", "undecided: dep gains"),
    ],
)
def test_what_the_nats_say_is_what_was_planted(gains, outcome, opens) -> None:
    verdict = judge(CLAIM, nats(**gains), DRAWS)
    assert verdict.outcome == outcome
    assert verdict.sentence.startswith(opens)


def test_figures_are_those_of_the_runs() -> None:
    runs = nats(2.0, 0.5, -1.0)
    verdict = judge(CLAIM, runs, DRAWS)
    gain = (runs[RAG] - runs[DEP]).mean()
    assert verdict.gain.value == pytest.approx(gain)
    assert verdict.gain.low < gain < verdict.gain.high
    other, constant = verdict.controls
    assert other.worse.value == pytest.approx((runs[OTHER] - runs[DEP]).mean())
    assert other.retained.value == pytest.approx((runs[RAG] - runs[OTHER]).mean() / gain)
    assert constant.retained.value < 0
    assert f"constant is {constant.worse.value:.2f} nats" in verdict.sentence
    assert "keeps 0% of it" in verdict.sentence


def test_a_failed_claim_names_only_the_controls_that_are_as_good() -> None:
    sentence = judge(CLAIM, nats(2.0, 2.0, 0.0), DRAWS).sentence
    assert "other" in sentence
    assert "constant" not in sentence


def test_a_control_that_is_worse_is_not_as_good_however_much_of_the_gain_it_keeps() -> None:
    runs, rng = nats(2.0, 1.5, 0.0), np.random.default_rng(8)
    runs[CONSTANT] = runs[RAG] - 1.2 + rng.normal(0.0, 12.0, N)
    verdict = judge(CLAIM, runs, DRAWS)
    other, constant = verdict.controls
    assert (other.loses, other.as_good) == (True, False)
    assert other.retained.low > 0.5
    assert (constant.loses, constant.as_good) == (False, False)
    assert verdict.outcome == "undecided"


def test_a_claim_about_the_difference_says_so() -> None:
    claim = Claim(method=DEP, baseline=RAG, controls=(OTHER,), source="difference")
    assert judge(claim, nats(2.0, 2.0, 0.0), DRAWS).sentence.startswith("not from the difference: ")
    assert judge(claim, nats(2.0, 0.0, 0.0), DRAWS).sentence.startswith("from the difference: ")


@settings(max_examples=40, deadline=None)
@given(*[st.floats(-3, 3)] * 3, st.floats(-50, 50))
def test_the_outcome_does_not_depend_on_how_hard_the_references_are(dep, other, constant, harder) -> None:
    runs = nats(dep, other, constant)
    shifted = {name: values + harder for name, values in runs.items()}
    assert judge(CLAIM, runs, DRAWS).outcome == judge(CLAIM, shifted, DRAWS).outcome


def test_a_method_that_is_its_baseline_gains_nothing_and_stays_plain_data() -> None:
    same = dict.fromkeys((RAG, DEP, OTHER, CONSTANT), np.full(N, 90.0))
    verdict = judge(CLAIM, same, DRAWS)
    assert verdict.outcome == "no gain"
    assert json.loads(json.dumps(verdict.to_dict(), allow_nan=False))["controls"][0]["retained"]["value"] == 0


def test_a_claim_without_controls_or_with_unknown_conditions_is_refused() -> None:
    with pytest.raises(ConfigError, match="name a control"):
        judge(Claim(method=DEP, baseline=RAG, controls=()), nats(1, 1, 1), DRAWS)
    with pytest.raises(ConfigError, match="did you mean 'other'"):
        judge(Claim(method=DEP, baseline=RAG, controls=(ConditionId("othr"),)), nats(1, 1, 1), DRAWS)


@pytest.mark.parametrize("users", [2, 3, 5])
def test_too_few_users_decide_nothing(users: int) -> None:
    draws = Resamples(users, np.random.default_rng(0), clusters=list(range(users)))
    runs = {RAG: np.full(users, 5.0), DEP: np.arange(users) / 10, OTHER: np.full(users, 6.0)}
    verdict = judge(Claim(method=DEP, baseline=RAG, controls=(OTHER,)), runs, draws)
    assert verdict.outcome == "undecided"
    assert f"{users} users cannot tell" in verdict.sentence


def test_chance_makes_few_users_gain_seldom() -> None:
    claimed = 0
    for k in range(200):
        rng = np.random.default_rng(k)
        draws = Resamples(6, rng, clusters=list(range(6)), resamples=200)
        runs = dict(zip((RAG, DEP, OTHER), rng.normal(size=(3, 6)), strict=True))
        claimed += judge(Claim(method=DEP, baseline=RAG, controls=(OTHER,)), runs, draws).outcome != "no gain"
    assert claimed / 200 <= 0.05
