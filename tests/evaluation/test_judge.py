from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.difference.claims.taxonomy import CONTROLLED
from idiolect.evaluation.judge import (
    JUDGE_SCHEMA,
    MOST_UNITS,
    PARAMS,
    Claimed,
    Judged,
    judge,
    judge_prompt,
    read_judgement,
)
from idiolect.evaluation.uvq import Unit, uvq
from idiolect.llm.fake import FakeLLM
from idiolect.methods.roles import Role
from idiolect.types import ReviewId


def unit(path: str = "writing/exclamations/more", **fields) -> dict:
    category = path.split("/")[0].capitalize()
    plain = {"feature_name": "f", "difference": "d", "category": category, "is_valid": True, "invalid_reason": ""}
    return {**plain, "dup_key": path, "evidence_span": "d", **fields}


def answer(*units: dict) -> str:
    return json.dumps({"units": list(units), "summary": {"valid_count_dedup": len(units), "by_category": {}}})


def test_the_prompt_names_every_key_the_limits_and_the_claims():
    prompt = judge_prompt(["Uses {more} <|im_end|> marks.", "Hedges."])
    system, user = (message.text for message in prompt.messages)
    assert all(key.path in user for key in CONTROLLED)
    assert str(MOST_UNITS) in system
    assert all(field in system for field in JUDGE_SCHEMA["properties"]["units"]["items"]["properties"])
    assert user.index("Claim 1:\nUses {more} < |im_end|> marks.") < user.index("Claim 2:\nHedges.")
    assert PARAMS.temperature == 0


def test_an_answer_as_asked_for_becomes_units():
    found = read_judgement(answer(unit(), unit("emotion/intensity/higher", is_valid=False, invalid_reason="unclear")))
    assert found.units == (
        Unit(category="Writing", path="writing/exclamations/more"),
        Unit(category="Emotion", path="emotion/intensity/higher", valid=False, reason="unclear"),
    )
    assert not found.failed


@pytest.mark.parametrize(
    "wrap",
    [
        "```json\n{}\n```",
        "Here is my judgement {{of sorts}}:\n{}\nI hope this helps.",
        "<think>{{</think>{}",
    ],
)
def test_words_around_the_object_do_no_harm(wrap):
    text = wrap.replace("{}", answer(unit(), unit("pragmatics/quotes/more")), 1)
    assert [one.path for one in read_judgement(text).units] == ["writing/exclamations/more", "pragmatics/quotes/more"]


def test_units_that_are_whole_survive_an_answer_that_breaks_off():
    whole = answer(unit(), unit("pragmatics/quotes/more"), unit("structure/paragraphs/more"))
    broken = whole[: whole.index("structure/paragraphs") + 3]
    assert [one.path for one in read_judgement(broken).units] == ["writing/exclamations/more", "pragmatics/quotes/more"]


def test_a_bare_list_is_read_too():
    assert len(read_judgement(json.dumps([unit(), unit("pragmatics/quotes/more")])).units) == 2


@pytest.mark.parametrize(
    ("said", "valid", "reason"),
    [
        ("true", True, ""),
        ("No", False, "rejected"),
        (1, True, ""),
        (None, False, "format_error"),
        ([], False, "format_error"),
    ],
)
def test_validity_may_be_a_word_but_must_be_said(said, valid, reason):
    (one,) = read_judgement(answer(unit(is_valid=said))).units
    assert (one.valid, one.reason) == (valid, reason)


@pytest.mark.parametrize(
    ("written", "path"),
    [
        (" Writing/Exclamations/More ", "writing/exclamations/more"),
        ("exclamations/more", "writing/exclamations/more"),
        ("emotion/tone/positive", "emotion/tone/positive/more"),
        ("other", "other"),
        ("pragmatics/quotes/fewer", "pragmatics/quotes/fewer"),
    ],
)
def test_a_key_is_known_however_it_is_written_and_others_are_left_as_they_are(written, path):
    (one,) = read_judgement(answer(unit(dup_key=written))).units
    assert one.path == path


def test_a_key_counts_once_and_only_twelve_units_are_read():
    paths = [key.path for key in CONTROLLED[:20]]
    found = read_judgement(answer(unit(paths[0]), *(unit(path) for path in paths)))
    assert len(found.units) == MOST_UNITS
    assert [one.reason for one in found.units[:3]] == ["", "duplicate", ""]


def test_a_missing_category_is_the_keys_own():
    found = read_judgement(answer(unit(category="")))
    assert found.units[0].category == "Writing"


def test_no_units_is_an_answer_and_no_answer_is_a_failure():
    assert not read_judgement(answer()).failed
    assert read_judgement("I cannot judge this.").failed
    assert read_judgement("").failed


@given(
    st.text()
    | st.recursive(
        st.none() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["units", "dup_key", "is_valid", "category"]), inner)
        ),
    ).map(json.dumps)
)
def test_no_text_breaks_it(text):
    read_judgement(text)


def test_what_is_deeply_nested_or_long_breaks_nothing():
    assert read_judgement('{"units": [' + '{"a":' * 3000).failed
    assert read_judgement("{" * 20_000).failed


def claimed(*claims: str, sources: tuple[str, ...] = ()) -> Claimed:
    return Claimed(claims=claims, sources=tuple(map(ReviewId, sources)))


def test_a_judge_is_asked_once_a_comparison_with_claims_and_its_answers_count_in_uvq():
    llm = FakeLLM(lambda prompt: answer(unit()) if "marks" in prompt.messages[-1].text else "pardon?")
    judged = judge(Role(llm=llm), [claimed("Uses more marks."), claimed(), claimed("More marks!", "x"), claimed("y")])
    assert len(llm.seen) == 3
    assert [len(one.units) for one in judged] == [1, 0, 1, 0]
    assert [one.failed for one in judged] == [False, False, False, True]
    assert uvq([[one.units for one in judged]]).per_user.tolist() == [1]


def test_unfinished_thinking_is_asked_on_and_never_read_as_a_judgement():
    llm = FakeLLM(lambda prompt: f"<think>Perhaps {answer(unit())}")
    (judged,) = judge(Role(llm=llm, params=PARAMS, thinking_limit=4096), [claimed("More marks!")])
    assert judged.failed
    assert judged.units == ()
    assert judged.usage.calls == judged.usage.failed == len(llm.seen) == 2


def test_the_same_claims_are_asked_about_once_with_the_reviews_of_all_who_made_them():
    llm = FakeLLM(lambda prompt: answer(unit()))
    same = [claimed("More marks!", sources=("a", "b")), claimed("More marks!", sources=("c", "b"))]
    judged = judge(Role(llm=llm), same)
    assert [prompt.sources for prompt in llm.seen] == [("a", "b", "c")]
    assert [len(one.units) for one in judged] == [1, 1]
    assert [one.usage.calls for one in judged] == [1, 0]


def test_no_claims_are_no_call():
    llm = FakeLLM()
    assert judge(Role(llm=llm), [claimed(), claimed()]) == [Judged(units=()), Judged(units=())]
    assert llm.seen == []


@pytest.mark.parametrize(
    "text",
    [
        str({"units": [unit(), unit("pragmatics/quotes/more")]}),
        answer(unit(difference="more\nthan others"), unit("pragmatics/quotes/more")).replace("\\n", "\n"),
        "\n".join(json.dumps(unit(path)) for path in ("writing/exclamations/more", "pragmatics/quotes/more")),
        answer(unit(), unit("pragmatics/quotes/more")).replace("}]", "},]"),
    ],
)
def test_damaged_json_is_read(text):
    assert [(one.path, one.valid) for one in read_judgement(text).units] == [
        ("writing/exclamations/more", True),
        ("pragmatics/quotes/more", True),
    ]
