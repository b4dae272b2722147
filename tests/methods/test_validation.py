from __future__ import annotations

from dataclasses import replace

from idiolect.difference.claims.validate import VERDICTS_SCHEMA
from idiolect.llm.base import Failure, SamplingParams
from idiolect.methods.extract import Extraction, MeasuredExtraction
from idiolect.methods.peer_comparison import standard
from idiolect.methods.roles import Role
from idiolect.methods.stages import initial_states
from idiolect.methods.validate import Checks, Validation

PARAMS = SamplingParams(temperature=0)


def claimed(world, llm, n=1):
    comparisons = world.comparisons(retriever="recency", anchors=3, representatives=2).build([world.sample] * n)
    blank = initial_states(world.contexts(k=2).build([world.sample] * n), comparisons)
    return Extraction(role=Role(llm=llm, params=PARAMS), standard=standard("auto"))(blank)


def fates(state):
    return {(one.comparison, one.name): (one.status, one.reason) for one in state.features}


def test_claims_are_held_against_what_everybody_wrote_about_the_item(world, kit):
    (found,) = Validation()(claimed(world, kit.Scripted(E=kit.EXCLAIMS)))
    assert set(fates(found).values()) == {("kept", None)}
    (found,) = Validation()(claimed(world, kit.Scripted(E=kit.FEWER)))
    assert set(fates(found).values()) == {("dropped", "measured_opposite")}


def test_anothers_words_are_no_evidence_of_the_user(world, kit):
    quoting = kit.block("Story", "The user tells more of a story than others.", "and the lid closes well")
    (found,) = Validation()(claimed(world, kit.Scripted(E=quoting)))
    assert set(fates(found).values()) <= {("dropped", "peer_quote"), ("dropped", "invented_quote")}


def test_checks_can_be_switched_off(world, kit):
    (found,) = Validation(checks=None)(claimed(world, kit.Scripted(E=kit.FEWER)))
    assert {status for status, _ in fates(found).values()} == {"unconfirmed"}


def test_a_model_judges_only_what_is_left_and_only_where_something_is(world, kit):
    def answer(prompt, _):
        text = prompt.messages[1].text
        return kit.FEWER if "Item i4" in text else kit.FEWER + kit.ASKS + kit.EXCLAIMS

    llm = kit.Scripted(E=answer, V="1. keep\n2. drop: content, not style")
    (found,) = Validation(role=Role(llm=llm, params=PARAMS))(claimed(world, llm))
    asked = llm.asked("V")
    assert len(asked) == 2
    assert all("fewer exclamation" not in prompt.messages[1].text for prompt in asked)
    assert "1. [Questions] The user asks" in asked[0].messages[1].text
    assert fates(found)["u-i3", "Questions"] == ("kept", None)
    exclaims = [one for one in found.features if one.name == "Exclamations" and one.comparison == "u-i3"]
    assert [one.reason for one in exclaims] == ["measured_opposite", "content_bias"]
    assert found.usage["validate"].calls == 2
    assert asked[0].sources[0] == "u-i3"


def test_verdicts_are_held_to_a_schema_where_that_is_possible(world, kit):
    llm = kit.Scripted(E=kit.ASKS, V='{"verdicts": []}', supports=frozenset({"schema"}))
    Validation(role=Role(llm=llm, params=PARAMS))(claimed(world, llm))
    assert llm.batches[-1][2] == VERDICTS_SCHEMA


def test_a_validator_that_fails_leaves_claims_as_the_checks_left_them(world, kit):
    llm = kit.Scripted(E=kit.EXCLAIMS, V=Failure(kind="server_error"))
    (found,) = Validation(role=Role(llm=llm, params=PARAMS))(claimed(world, llm))
    assert set(fates(found).values()) == {("kept", None)}
    assert found.stages[-1].failure == Failure(kind="server_error")


def test_what_the_users_other_comparisons_contradict_is_voted_down(world, kit):
    def answer(prompt, _):
        return kit.FEWER if "Item i4" in prompt.messages[1].text else kit.EXCLAIMS

    (found,) = Validation(checks=None)(claimed(world, kit.Scripted(E=answer)))
    assert fates(found)["u-i4", "Exclamations"] == ("dropped", "outvoted")
    assert fates(found)["u-i3", "Exclamations"][0] == "unconfirmed"


def test_samples_do_not_mix(world, kit):
    llm = kit.Scripted(E=kit.EXCLAIMS, V="1. drop: unclear")
    first, second = claimed(world, llm, 2)
    second = replace(second, features=())
    one, other = Validation(role=Role(llm=llm, params=PARAMS))([first, second])
    assert set(fates(one).values()) == {("dropped", "unclear")}
    assert other.features == ()
    assert other.usage["validate"].calls == 0


def test_what_was_measured_in_the_first_place_is_not_judged_again(world):
    comparisons = world.comparisons(retriever="recency", anchors=3, representatives=2).build([world.sample])
    (measured,) = MeasuredExtraction()(initial_states(world.contexts(k=2).build([world.sample]), comparisons))
    (found,) = Validation(checks=Checks())([measured])
    assert {one.status for one in found.features} == {"kept"}
    assert [f for f in found.features if not f.comparison] == [f for f in measured.features if not f.comparison]
