from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.llm.base import SamplingParams
from idiolect.llm.failure import Failure
from idiolect.methods.adaptive import AdaptiveConfig, AdaptiveExtraction, Point, average_curve, read_curve
from idiolect.methods.dimensions import standard
from idiolect.methods.extraction import Extraction
from idiolect.methods.portrait import portray
from idiolect.methods.roles import Role

PARAMS = SamplingParams(temperature=0.8, max_new_tokens=50)


def run(world, llm, n=1, compare="joint", **config):
    samples = [world.sample] * n
    cases = world.cases(retriever="recency", anchors=2, representatives=2).build(samples)
    once = Extraction(role=Role(llm=llm, params=PARAMS), standard=standard("auto"), compare=compare)
    stage = AdaptiveExtraction(once=once, config=AdaptiveConfig(**config))
    return stage(portray(world.contexts(k=2).build(samples), cases))


def curve(portrait):
    return read_curve(portrait.stages["curve"])


def invents(kit):
    """E finds something new with every draw of every anchor."""

    def answer(prompt, params):
        return kit.block(f"Trait {params.seed} {prompt.sources[0]}", "The user is wittier and drier than others.")

    return answer


def test_it_stops_when_calls_show_nothing_new(world, kit):
    llm = kit.Scripted(E=kit.EXCLAIMS)
    (found,) = run(world, llm, threshold=0.25, max_calls=20)
    assert [point.calls for point in curve(found)] == [1, 2, 3]
    assert [point.found for point in curve(found)] == [1, 1, 1]
    assert [point.expected for point in curve(found)] == [1, 0, 0]


def test_it_goes_on_while_calls_show_new_things_and_never_beyond_its_calls(world, kit):
    (found,) = run(world, kit.Scripted(E=invents(kit)), max_calls=7)
    assert [point.found for point in curve(found)] == list(range(1, 8))
    assert found.usage["extract"].calls == 7
    assert len(found.features) == 7


def test_further_draws_are_independent_and_go_through_the_anchors_again(world, kit):
    llm = kit.Scripted(E=invents(kit))
    (found,) = run(world, llm, max_calls=5)
    seeds = {(prompt.sources[0], params.seed) for prompts, params, _ in llm.batches for prompt in prompts}
    draws = [("u-i4", 0), ("u-i3", 0), ("u-i4", 1), ("u-i3", 1), ("u-i4", 2)]
    assert seeds == {(anchor, PARAMS.replicate(k).seed) for anchor, k in draws}
    assert "extract u-i4 #3" in found.stages


def test_only_valid_differences_count(world, kit):
    (found,) = run(world, kit.Scripted(E=kit.FEWER + kit.EXCLAIMS), max_calls=6)
    assert curve(found)[-1].found == 1
    assert len(found.features) == 4, "both claims in both comparisons; dropping is for the validation"


@pytest.mark.parametrize("compare", ["joint", "pairwise"])
@settings(max_examples=15, deadline=None)
@given(calls=st.integers(1, 9), tokens=st.integers(1, 6000), cost=st.floats(0.011, 0.2))
def test_no_budget_is_ever_passed(world, kit, compare, calls, tokens, cost):
    llm = kit.Scripted(E=invents(kit))
    (found,) = run(world, llm, compare=compare, first=2, max_calls=calls, max_tokens=tokens, max_cost=cost)
    used = found.usage["extract"]
    assert len(llm.seen) == used.calls <= calls
    assert used.prompt_tokens + used.completion_tokens <= tokens
    assert used.cost <= max(cost, 0.01 * 4), "a first round has no price to go by"


def test_thinking_is_not_retried_and_a_failed_call_found_nothing(world, kit):
    llm = kit.Scripted(E=Failure(kind="unfinished_thinking"))
    (found,) = run(world, llm, max_calls=20)
    assert found.features == ()
    assert [point.found for point in curve(found)] == [0, 0, 0]
    assert len(llm.seen) == 3


def test_samples_share_batches(world, kit):
    llm = kit.Scripted(E=kit.EXCLAIMS)
    run(world, llm, n=3)
    assert len(llm.batches) == 2, "one for each replicate index"


def test_who_has_nothing_to_compare_costs_nothing(world, kit):
    llm = kit.Scripted()
    stage = AdaptiveExtraction(once=Extraction(role=Role(llm=llm), standard=standard("auto")))
    (found,) = stage(portray(world.contexts(k=2).build([world.sample]), [()]))
    assert curve(found) == []
    assert llm.seen == []


def test_the_mean_curve_keeps_those_that_stopped_early():
    def point(calls, found):
        return Point(calls=calls, tokens=10 * calls, cost=calls / 10, found=found, expected=1.0)

    short, long = [point(1, 2)], [point(1, 4), point(2, 6)]
    mean = average_curve([short, long, []])
    assert [(p.calls, p.found) for p in mean] == [(1, 3), (1.5, 4)]
    assert average_curve([]) == []


def test_the_estimate_is_that_of_a_census(world, kit):
    """Of traits drawn at random, the expected number of new ones a call is Good-Turing's: those seen once, by calls."""
    rng = np.random.default_rng(1)
    names = [f"Trait{k}" for k in range(30)]

    def answer(prompt, params):
        return "".join(
            kit.block(name, "The user is wittier and drier than others.")
            for name in rng.choice(names, 5, replace=False)
        )

    (found,) = run(world, kit.Scripted(E=answer), threshold=0.3, max_calls=200)
    points = curve(found)
    assert points[-1].expected < 0.3
    assert points[-1].found >= 24, "most of the thirty are found before it stops"
    assert len(points) < 60
