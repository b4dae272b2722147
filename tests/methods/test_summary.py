from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.difference.claims.parse import parse
from idiolect.difference.claims.stylometric import Norms
from idiolect.difference.claims.vote import NOT_DISTINGUISHABLE
from idiolect.llm.base import Failure, SamplingParams
from idiolect.methods.roles import Role
from idiolect.methods.stages import initial_states
from idiolect.methods.summarize import HistorySummary, Summary, TemplateSummary, shortened

PARAMS = SamplingParams(temperature=0)


def state(world, kit, text="", k=2):
    comparisons = world.comparisons(retriever="recency", anchors=2, representatives=2).build([world.sample])
    (blank,) = initial_states(world.contexts(k=k).build([world.sample]), comparisons)
    return replace(blank, features=tuple(parse(text, comparison="u-i4")))


def test_valid_claims_are_shown_by_item_without_quotes_with_past_reviews(world, kit):
    llm = kit.Scripted(S="[Summary]: Exclaims a lot.")
    drawn = state(world, kit, kit.EXCLAIMS + kit.ASKS)
    dropped = replace(drawn.features[1], status="dropped", reason="rejected")
    (found,) = Summary(role=Role(llm=llm, params=PARAMS))([replace(drawn, features=(drawn.features[0], dropped))])
    shown = llm.seen[0].messages[1].text
    assert "uses more exclamation marks than others" in shown
    assert "rhetorical" not in shown
    assert shown.count("Really, it is grand!") == 2, "in the two past reviews, not as a quote"
    assert "Quote" not in shown
    assert not any(other.text in shown for comparison in found.comparisons for other in comparison.all_peers)
    assert found.profile == "Exclaims a lot."
    assert set(llm.seen[0].sources) > {"u-i4", "o0-i4", "o4-i3"}


@pytest.mark.parametrize("prefix", ["[Summary]:", "Summary: ", "**[Summary]:** ", "[summary] :\n", ""])
def test_the_prefix_is_stripped_where_it_stands_first(world, kit, prefix):
    llm = kit.Scripted(S=f"{prefix}Writes a [Summary]: of all.")
    (found,) = Summary(role=Role(llm=llm, params=PARAMS))([state(world, kit)])
    assert found.profile == "Writes a [Summary]: of all."


def test_a_profile_that_is_too_long_is_cut_after_a_sentence_and_that_is_reported(world, kit):
    answer = "Writes warmly, and asks. " * 100
    (found,) = Summary(role=Role(llm=kit.Scripted(S=answer), params=PARAMS), profile_chars=200)([state(world, kit)])
    assert found.profile == ("Writes warmly, and asks. " * 8).strip()
    assert found.stages[-1].notes[0].startswith("199 of 2499 characters")
    assert found.stages[-1].text == answer
    (whole,) = Summary(role=Role(llm=kit.Scripted(), params=PARAMS))([state(world, kit)])
    assert whole.stages[-1].notes == ()


@given(st.text(alphabet="ab .!\n", max_size=60), st.integers(1, 50))
def test_what_is_cut_is_a_beginning_that_fits(text, most):
    found = shortened(text, most)
    assert len(found) <= most
    assert text.startswith(found)
    assert found == text or len(text) > most


def test_differences_can_be_one_sentence(world, kit):
    llm = kit.Scripted()
    Summary(role=Role(llm=llm, params=PARAMS), differences_as="sentence")([state(world, kit, kit.EXCLAIMS)])
    assert "Differences: Compared with others, this user uses more exclamation marks." in llm.seen[0].messages[1].text


def test_without_differences_history_is_summarized_and_without_either_nobody_is_asked(world, kit):
    llm = kit.Scripted()
    stage = Summary(role=Role(llm=llm, params=PARAMS))
    history, nothing = stage([state(world, kit), replace(state(world, kit), context=_empty(world))])
    assert history.profile == "Writes warmly."
    assert "Differences" not in llm.seen[0].messages[1].text
    assert nothing.profile == NOT_DISTINGUISHABLE
    assert len(llm.seen) == 1


def test_where_the_model_fails_a_template_tells_what_was_found(world, kit):
    llm = kit.Scripted(S=Failure(kind="timeout"))
    stage = Summary(role=Role(llm=llm, params=PARAMS))
    found, bare = stage([state(world, kit, kit.EXCLAIMS), state(world, kit, k=1)])
    assert found.profile == "Compared with others, this user uses more exclamation marks."
    assert found.stages[-1].failure == Failure(kind="timeout")
    assert bare.profile == NOT_DISTINGUISHABLE


def test_the_template_says_what_holds(world, kit):
    found, nothing = TemplateSummary()([state(world, kit, kit.EXCLAIMS), state(world, kit)])
    assert found.profile == "Compared with others, this user uses more exclamation marks."
    assert nothing.profile == NOT_DISTINGUISHABLE


def test_history_alone_is_compared_with_how_people_write_on_the_whole(world, kit):
    all_peers = [review.text for user in ("u", "o0", "o1", "o2", "o3") for review in world.reader.profile(user)]
    (found,) = HistorySummary(norms=Norms(all_peers))([state(world, kit, k=4)])
    assert found.profile.startswith("Compared with others, this user ")
    assert "exclamations" in {feature.name for feature in found.features}
    (silent,) = HistorySummary(norms=None)([state(world, kit, k=4)])
    assert silent.profile == NOT_DISTINGUISHABLE


def _empty(world):
    return replace(world.contexts(k=2).build([world.sample])[0], entries=())
