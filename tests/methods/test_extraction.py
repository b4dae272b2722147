from __future__ import annotations

from dataclasses import replace

from idiolect.difference.claims.feature import FEATURES_SCHEMA, Quote
from idiolect.difference.claims.stylometric import POOLED
from idiolect.difference.claims.vote import UNKNOWN
from idiolect.llm.base import Failure, SamplingParams
from idiolect.methods.extract import Extraction, MeasuredExtraction, merged
from idiolect.methods.peer_comparison import SEEDS, Dimension, standard
from idiolect.methods.roles import Role
from idiolect.methods.stages import initial_states
from idiolect.methods.summarize import TemplateSummary

PARAMS = SamplingParams(temperature=0)


def states(world, n=1, **config):
    samples = [world.sample] * n
    comparisons = world.comparisons(retriever="recency", anchors=2, representatives=2, **config)
    return initial_states(world.contexts(k=2).build(samples), comparisons.build(samples))


def extraction(llm, **options):
    options = {"standard": standard("fixed"), **options}
    return Extraction(role=Role(llm=llm, params=PARAMS), **options)


def test_one_call_an_anchor_shows_the_users_review_and_all_representatives(world, kit):
    llm = kit.Scripted(E=kit.EXCLAIMS)
    (found,) = extraction(llm)(states(world))
    assert len(llm.batches) == 1
    assert len(llm.seen) == 2
    for prompt, comparison in zip(llm.seen, found.comparisons, strict=True):
        assert comparison.own.text in prompt.messages[1].text
        assert all(other.text in prompt.messages[1].text for other in comparison.representatives)
        assert prompt.sources == (comparison.own.id, *(other.id for other in comparison.representatives))
    assert [(feature.comparison, feature.name) for feature in found.features] == [
        ("u-i4", "Exclamations"),
        ("u-i3", "Exclamations"),
    ]
    assert found.usage["extract"].calls == 2
    assert next(one for one in found.stages if one.review == "u-i4").text == kit.EXCLAIMS


def test_pairwise_makes_a_call_for_every_representative_and_credits_quotes_to_them(world, kit):
    answer = kit.EXCLAIMS.removesuffix("---\n") + 'Other 1 quote: "the item"\n---'
    llm = kit.Scripted(E=answer)
    (found,) = extraction(llm, compare="pairwise")(states(world))
    assert len(llm.seen) == 4
    assert all(len(prompt.sources) == 2 for prompt in llm.seen)
    peers = [quote.peer for feature in found.features for quote in feature.quotes if quote.side == "peer"]
    assert peers == [0, 1, 0, 1]
    assert len({(one.review, one.peer) for one in found.stages}) == 4


def test_what_is_compared_along_is_what_was_asked(world, kit):
    own = Dimension(name="Rhythm", definition="how the beat of it goes")
    shown = {}
    for name, dimensions in {"fixed": "fixed", "auto": "auto", "own": (own,)}.items():
        llm = kit.Scripted()
        extraction(llm, standard=standard(dimensions))(states(world))
        shown[name] = llm.seen[0].messages[0].text
    for seed in SEEDS:
        assert seed.definition in shown["fixed"]
        assert seed.definition in shown["auto"]
        assert seed.definition not in shown["own"]
    assert own.definition in shown["own"]
    assert "every further dimension" in shown["auto"]
    assert "every further dimension" not in shown["fixed"] + shown["own"]


def test_a_schema_is_asked_for_where_there_is_one(world, kit):
    llm = kit.Scripted(supports=frozenset({"schema"}))
    extraction(llm)(states(world))
    assert llm.batches[0][2] == FEATURES_SCHEMA


def test_users_with_the_same_anchors_pay_once_and_all_learn(world, kit):
    llm = kit.Scripted(E=kit.EXCLAIMS)
    first, second = extraction(llm)(states(world, 2))
    assert len(llm.seen) == 2
    assert first.features == second.features
    assert (first.usage["extract"].cached, second.usage["extract"].cached) == (0, 2)


def test_a_failed_call_is_recorded_and_costs_only_its_own_features(world, kit):
    llm = kit.Scripted(E=lambda p, _: Failure(kind="timeout") if "Item i4" in p.messages[1].text else kit.ASKS)
    (found,) = extraction(llm)(states(world))
    assert [feature.comparison for feature in found.features] == ["u-i3"]
    assert [one.review for one in found.stages if one.failure] == ["u-i4"]
    assert found.usage["extract"].failed == 1


def test_unfinished_thinking_is_never_parsed_and_stays_in_the_trace(world, kit):
    llm = kit.Scripted(E="<think>" + kit.EXCLAIMS)
    stage = replace(extraction(llm), role=Role(llm=llm, params=PARAMS, thinking_limit=600))
    (found,) = stage(states(world))
    assert found.features == ()
    assert "Exclamations" in next(one for one in found.stages if one.review == "u-i4").thinking
    assert found.usage["extract"].calls == 4


def test_claims_are_merged_within_a_comparison_with_all_their_quotes(world, kit):
    llm = kit.Scripted(E=kit.EXCLAIMS)
    (found,) = extraction(llm)(states(world))
    first = found.features[0]
    again = replace(first, quotes=(Quote(text="You should get it!"),))
    (one, other) = merged([first, found.features[1], again])
    assert one.quotes == (*first.quotes, *again.quotes)
    assert other.comparison == "u-i3"


def test_without_a_model_what_is_sure_is_measured_in_the_categories_asked_for(world):
    (found,) = MeasuredExtraction()(states(world))
    names = {feature.name for feature in found.features}
    assert {"exclamations", "questions"} <= names
    assert {feature.status for feature in found.features} == {"kept"}
    assert {feature.comparison for feature in found.features} == {"u-i4", "u-i3", ""}
    (writing,) = MeasuredExtraction(categories=("Writing",))(states(world))
    assert {feature.category for feature in writing.features} == {"Writing"}
    assert MeasuredExtraction()([]) == []


def test_comparisons_that_are_not_in_english_are_not_measured_and_reported_as_unknown(world):
    (found,) = initial_states(
        world.contexts(k=2).build([world.sample]), world.comparisons(anchors=4).build([world.sample])
    )
    german = "Das ist sehr schön, aber leider nicht billig, und ich habe lange gewartet. "
    comparisons = tuple(
        replace(comparison, own=replace(comparison.own, text=german * 3)) if k < 2 else comparison
        for k, comparison in enumerate(found.comparisons)
    )
    half, nothing = MeasuredExtraction()(
        [replace(found, comparisons=comparisons), replace(found, comparisons=tuple(comparisons[:2]))]
    )
    assert half.not_measured == 2
    assert {one.comparison for one in half.features} <= {POOLED, *(comparison.own.id for comparison in comparisons[2:])}
    assert (nothing.features, nothing.unanswered) == ((), 2)
    assert TemplateSummary()([nothing])[0].profile == UNKNOWN
    (whole,) = MeasuredExtraction()([found])
    assert (whole.unanswered, whole.not_measured) == (0, 0)
