"""Free text to keys: what is said of the user, in which direction, and silence where the rules are silent."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.claims.parse import about_target, claims, map_feature, quotations, redact, split_by_subject
from idiolect.difference.claims.taxonomy import ANY, RULES


def keys(text: str) -> list[str]:
    return [f"{claim.key.attribute} {claim.key.direction}" for claim in claims(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The user writes longer, more complex sentences than others.", "writing/sentence-complexity higher"),
        ("The target's sentences tend to be shorter.", "writing/sentence-complexity lower"),
        ("The user rarely uses exclamation points, instead favoring periods.", "writing/exclamations fewer"),
        ("Less formal language than the peers.", "writing/conversational-tone more"),
        ("The user's vocabulary is more sophisticated than that of other reviewers.", "writing/vocabulary richer"),
        ("The user's tone is less positive than others'.", "emotion/tone negative"),
        ("In contrast to others, the user's emotional tone is more restrained.", "emotion/intensity lower"),
        ("The user hedges every claim; others state opinions flatly.", "emotion/politeness more"),
        ("The user is more concise.", "semantics/info-density lower"),
        ("Provides more specific details, such as numbers, compared to other users.", "semantics/specificity more"),
        ("Uses no headings or lists, unlike others.", "structure/headings-lists fewer"),
        ("Does not address the reader directly.", "pragmatics/reader-address less"),
        ("The user not only uses rhetorical questions.", "pragmatics/rhetorical-questions more"),
        ("While others are enthusiastic, the user adopts a more neutral tone.", "emotion/tone neutral"),
    ],
)
def test_a_claim_is_found_with_its_direction(text: str, expected: str):
    assert keys(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The user likes this author more than others.",
        "Others use many exclamation marks, whereas the user does something else.",
        "The user is less neutral than others.",
        "The user has longer sentences here and shorter sentences there.",
        'The user once wrote "there were no exclamation marks on the box".',
    ],
)
def test_no_claim_is_made_up(text: str):
    assert keys(text) == []


def test_what_is_said_of_the_others_is_not_said_of_the_user():
    text = "Unlike others, who write long, winding sentences, the user keeps sentences short."
    assert keys(text) == ["writing/sentence-complexity lower"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Unlike the others, who stay neutral and never ask anything, the user asks the reader questions.", ["+ask"]),
        ("The user, unlike the others who never ask, asks questions.", ["+ask"]),
        (
            "The user asks questions more than others, who stay neutral, never ask, and avoid exclamation marks.",
            ["+ask"],
        ),
        ("Compared with others, who never exclaim and write long sentences, this user exclaims a lot.", ["+exclaim"]),
        ("The user exclaims, while others, who write long sentences, never do.", ["+exclaim"]),
        ("Compared with others, uses more exclamation marks and asks more questions.", ["+ask", "+exclaim"]),
        ("Unlike the others who never ask and stay neutral, the user asks questions.", ["+ask"]),
        ("The user's review has exclamation marks, as opposed to the others', which ask no questions.", ["+exclaim"]),
        ("While others never exclaim and never address the reader, this user uses exclamation marks.", ["+exclaim"]),
        ("Compared with peers, the user avoids asking the reader anything.", ["-ask"]),
    ],
)
def test_clauses_about_the_others_do_not_count_for_the_user(text: str, expected: list[str]):
    assert signed(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Whereas others use exclamation marks, the user does not.", ["-exclaim"]),
        ("While others never use exclamation marks, the user does.", ["+exclaim"]),
        ("Others ask questions, which the user never does.", ["-ask"]),
        ("The others rarely ask questions, but this reviewer does.", ["+ask"]),
        ("The user does not ask questions, whereas others do.", ["-ask"]),
        ("Others use exclamation marks, and the user does.", []),
        ("Others avoid exclamation marks, and the user does not.", []),
        ("Others joke a lot, the user does not.", []),
    ],
)
def test_a_bare_does_or_does_not_says_the_opposite_of_the_others(text: str, expected: list[str]):
    assert signed(text) == expected


def signed(text: str) -> list[str]:
    short = {"pragmatics/rhetorical-questions": "ask", "writing/exclamations": "exclaim"}
    return sorted("-+"[one.key.sign > 0] + short.get(one.key.attribute, one.key.attribute) for one in claims(text))


def test_several_properties_are_several_claims_in_order():
    text = "Compared with others, the user uses fewer exclamation marks and more rhetorical questions."
    assert keys(text) == ["writing/exclamations fewer", "pragmatics/rhetorical-questions more"]


def test_a_denial_reaches_over_an_enumeration():
    text = "The user avoids exclamation marks and rhetorical questions."
    assert keys(text) == ["writing/exclamations fewer", "pragmatics/rhetorical-questions fewer"]


def test_the_name_says_of_what_where_the_description_says_how_much():
    (more,) = map_feature("Exclamation marks", "The user has more of them than others.")
    (fewer,) = map_feature("Exclamation marks", "The user avoids them, unlike others.")
    assert (more.key.direction, fewer.key.direction) == ("more", "fewer")


def test_quotations_are_credited_to_whom_the_sentence_speaks_of():
    text = 'The user raves ("it made my whole day"), while others merely say "it works just fine".'
    assert quotations(text) == [("it made my whole day", True), ("it works just fine", False)]
    assert redact(text) == 'The user raves ("it made my whole day"), while others merely say "…".'


@settings(deadline=None, max_examples=40)
@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["others", "the user", "than", ", ", ". ", "who ", '"a b c"', " "])).map("".join)
)
def test_any_text_is_parted_without_loss(text: str):
    assert "".join(part for part, _ in split_by_subject(text)) == text
    assert all(part in text or '"' in text or "“" in text or "”" in text for part in about_target(text))
    claims(text)


WORDS = "user writes short long sentences sentence fragments casual formal words rich wit tells readers in general not"


@settings(deadline=None)
@given(st.lists(st.sampled_from([*WORDS.split(), ",", '"you"', "..."]), max_size=9).map(" ".join) | st.text())
def test_the_one_search_for_all_rules_finds_what_some_rule_does(text: str):
    assert (ANY.search(text) is not None) == any(rule.words.search(text) for rule in RULES)
