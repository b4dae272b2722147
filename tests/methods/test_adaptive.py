from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.errors import ConfigError
from idiolect.llm.base import Failure, Price, SamplingParams
from idiolect.methods.adaptive import AdaptiveConfig, AdaptiveExtraction, Need, average_curve
from idiolect.methods.extract import Extraction
from idiolect.methods.peer_comparison import standard
from idiolect.methods.roles import Role
from idiolect.methods.stages import initial_states
from idiolect.types import Block, CurvePoint, Message, Prompt

PARAMS = SamplingParams(temperature=0.8, max_new_tokens=50)
PRICE = Price(prompt=50, completion=500)
"""What makes a scripted call cost 0.01."""


def run(world, llm, n=1, compare="joint", params=PARAMS, thinking_limit=16_384, price=PRICE, **config):
    samples = [world.sample] * n
    llm.price = price
    comparisons = world.comparisons(retriever="recency", anchors=2, representatives=2).build(samples)
    once = Extraction(
        role=Role(llm=llm, params=params, thinking_limit=thinking_limit), standard=standard("auto"), compare=compare
    )
    stage = AdaptiveExtraction(extraction=once, config=AdaptiveConfig(**config))
    return stage(initial_states(world.contexts(k=2).build(samples), comparisons))


def curve(state):
    return state.curve.points


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
    assert ("u-i4", 2) in {(one.review, one.replicate) for one in found.stages}


def test_only_valid_differences_count(world, kit):
    (found,) = run(world, kit.Scripted(E=kit.FEWER + kit.EXCLAIMS), max_calls=6)
    assert curve(found)[-1].found == 1
    assert len(found.features) == 4, "both claims in both comparisons; dropping is for the validation"


@pytest.mark.parametrize("compare", ["joint", "pairwise"])
@settings(max_examples=15, deadline=None)
@given(calls=st.integers(1, 9), tokens=st.integers(1, 20_000), cost=st.floats(0.001, 1.0))
def test_no_budget_is_ever_passed(world, kit, compare, calls, tokens, cost):
    llm = kit.Scripted(E=invents(kit))
    (found,) = run(world, llm, compare=compare, max_calls=calls, max_tokens=tokens, max_cost=cost)
    used = found.usage["extract"]
    assert len(llm.seen) == used.calls <= calls
    assert used.prompt_tokens + used.completion_tokens <= tokens
    assert used.cost <= cost
    assert "budget" in found.curve.end


def thinks(kit, needed):
    """E does not end its thinking below so many tokens."""

    def answer(prompt, params):
        return kit.EXCLAIMS if params.max_new_tokens >= needed else Failure(kind="unfinished_thinking")

    return answer


@pytest.mark.parametrize("compare", ["joint", "pairwise"])
def test_thinking_that_did_not_end_is_asked_for_again_with_more_tokens(compare, world, kit):
    llm = kit.Scripted(E=thinks(kit, 150))
    (found,) = run(world, llm, compare=compare, max_calls=40)
    assert {params.max_new_tokens for _, params, _ in llm.batches} == {50, 100, 200}
    assert [feature.name for feature in found.features] == ["Exclamations"] * 2
    calls = 3 if compare == "joint" else 6
    assert [point.calls for point in curve(found)] == [calls, 2 * calls, 3 * calls]
    assert [point.found for point in curve(found)] == [1, 1, 1]


def test_only_the_calls_whose_thinking_did_not_end_are_made_again(world, kit):
    stuck = []

    def answer(prompt, params):
        stuck.extend([] if stuck else [prompt.messages])
        return Failure(kind="unfinished_thinking") if prompt.messages in stuck and params.max_new_tokens < 100 else ""

    llm = kit.Scripted(E=answer)
    run(world, llm, compare="pairwise", max_calls=40)
    again = [
        prompt.messages for prompts, params, _ in llm.batches if params.max_new_tokens == 100 for prompt in prompts
    ]
    assert again == stuck * 2, "the third draw is of the first anchor again"
    assert len(llm.seen) == 3 * 2 + 2


@settings(max_examples=15, deadline=None)
@given(calls=st.integers(1, 12), tokens=st.integers(1, 30_000), cost=st.floats(0.001, 1.0), needed=st.integers(1, 900))
def test_asking_again_passes_no_budget_either(world, kit, calls, tokens, cost, needed):
    llm = kit.Scripted(E=thinks(kit, needed))
    (found,) = run(world, llm, threshold=0, max_calls=calls, max_tokens=tokens, max_cost=cost)
    used = found.usage["extract"]
    assert len(llm.seen) == used.calls <= calls
    assert used.prompt_tokens + used.completion_tokens <= tokens
    assert used.cost <= cost


def test_where_thinking_never_ends_it_is_given_up_at_the_limit_and_a_failed_call_found_nothing(world, kit):
    llm = kit.Scripted(E=Failure(kind="unfinished_thinking"))
    (found,) = run(world, llm, thinking_limit=90, max_calls=20)
    assert found.features == ()
    assert [point.found for point in curve(found)] == [0, 0, 0]
    assert [params.max_new_tokens for _, params, _ in llm.batches] == [50, 50, 90, 90]


def test_a_greedy_model_is_asked_about_every_comparison_once_and_the_end_says_so(world, kit):
    llm = kit.Scripted(E=invents(kit))
    greedy = PARAMS.model_copy(update={"temperature": 0})
    (found,) = run(world, llm, params=greedy, threshold=0, max_calls=24)
    assert len(llm.seen) == 2
    assert len({prompt.messages for prompt in llm.seen}) == 2
    assert "greedy" in found.curve.end


@pytest.mark.parametrize("price", [None, Price()])
def test_money_is_not_bounded_where_nothing_is_known_of_prices(price, world, kit):
    with pytest.raises(ConfigError, match="price"):
        run(world, kit.Scripted(), price=price, max_cost=0.01)
    run(world, kit.Scripted(), price=price, max_tokens=100)


@given(st.text(max_size=300))
def test_what_is_reserved_for_a_text_is_at_least_a_byte_a_token_beyond_ascii(text):
    prompt = Prompt((Message("user", (Block((text,)),)),))
    beyond = sum(len(character.encode("utf-8", "replace")) for character in text if not character.isascii())
    need = Need.of([prompt], 7, structured=False)
    assert (need.calls, need.new_tokens) == (1, 7)
    assert need.prompt_tokens >= beyond / 2 + len(text) // 2


def test_samples_share_batches(world, kit):
    llm = kit.Scripted(E=kit.EXCLAIMS)
    run(world, llm, n=3)
    assert len(llm.batches) == 2, "one for each replicate index"


def test_who_has_nothing_to_compare_costs_nothing(world, kit):
    llm = kit.Scripted()
    stage = AdaptiveExtraction(extraction=Extraction(role=Role(llm=llm), standard=standard("auto")))
    (found,) = stage(initial_states(world.contexts(k=2).build([world.sample]), [()]))
    assert curve(found) == ()
    assert llm.seen == []


def test_the_mean_curve_keeps_those_that_stopped_early():
    def point(calls, found):
        return CurvePoint(calls=calls, tokens=10 * calls, cost=calls / 10, found=found, expected=1.0)

    short, long = [point(1, 2)], [point(1, 4), point(2, 6)]
    mean = average_curve([short, long])
    assert [(p.calls, p.found) for p in mean] == [(1, 3), (1.5, 4)]
    assert average_curve([]) == average_curve([[]]) == []


def test_a_sample_with_nothing_to_compare_counts_in_the_mean():
    spent = CurvePoint(calls=2, tokens=20, cost=0.2, found=4, expected=1.0)
    (mean,) = average_curve([[spent], []])
    assert (mean.calls, mean.tokens, mean.cost, mean.found) == (1, 10, 0.1, 2)


def test_the_estimate_is_that_of_all_comparisons(world, kit):
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
