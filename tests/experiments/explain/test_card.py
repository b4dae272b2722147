from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from idiolect.difference.claims.feature import Feature, Quote
from idiolect.errors import ArtifactError, InputError, NotFoundError
from idiolect.explain import card as cards
from idiolect.explain.brief import brief_claims
from idiolect.explain.card import ExplainConfig
from idiolect.explain.layout import ABSTAINS, MOST_CLAIMS, Card, escape, lines, make_card, to_markdown
from idiolect.explain.run import explain, find_all_differences
from idiolect.peers import InMemoryReviews
from idiolect.pipeline.results import sample_row, write_lines
from idiolect.types import Item, ItemId, Prediction, Review, ReviewId, Sample, StageResult, UserId

N_ITEMS, N_PEERS = 12, 9
CALM = (
    "The {} is old.", "It stands by the river and it was open.", "A friend of the house told me so.",
    "There is a table near the window.", "Perhaps the rooms are small.", "We stayed there two days.",
)  # fmt: skip
LOUD = "What a place the {} is!", "I love it here!", "Come and see the river!", "More of it!"
SECRET = "zanzibar"
"""Stands in every text of the others and in none of the loud one's."""


def write(sentences: tuple[str, ...], item: int, rng: np.random.Generator, extra: str = "") -> str:
    chosen = rng.permutation(len(sentences))[: 3 + int(rng.integers(2))]
    return " ".join([*(sentences[k].format(f"inn{item}") for k in chosen), *([extra] if extra else [])])


@pytest.fixture(scope="module")
def town() -> InMemoryReviews:
    """One who exclaims, one who is like everybody, and two who cannot be compared."""
    rng = np.random.default_rng(3)
    reviews = [
        Review(
            id=f"p{peer}-{item}", user=f"peer{peer}", item=f"i{item}", text=write(CALM, item, rng, f"It is {SECRET}.")
        )
        for item in range(N_ITEMS)
        for peer in range(N_PEERS)
    ]
    reviews += [
        Review(id=f"loud-{item}", user="loud", item=f"i{item}", text=write(LOUD, item, rng), order=item)
        for item in range(N_ITEMS)
    ]
    reviews += [
        Review(id=f"plain-{item}", user="plain", item=f"i{item}", text=write(CALM, item, rng, f"It is {SECRET}."))
        for item in range(N_ITEMS)
    ]
    reviews += [Review(id=f"lone-{k}", user="lone", item=f"only{k}", text="Nobody was here!") for k in range(5)]
    reviews += [Review(id="rare-0", user="rare", item="i0", text="Loud! Loud! Loud!")]
    return InMemoryReviews([Item(id=f"i{k}") for k in range(N_ITEMS)], reviews, {}, encoder="none")


def card_of(reader, user: str, **settings) -> Card:
    return explain(reader, UserId(user), config=ExplainConfig(**settings))


def claimed(card: Card) -> dict[str, str]:
    return {shown.claim.measure.name: shown.claim.direction for shown in card.measured}


def test_one_who_exclaims_is_reported_so_with_figures_support_and_own_words(town):
    card = card_of(town, "loud")
    shown = next(one for one in card.measured if one.claim.measure.name == "exclamations")
    assert (shown.phrase, shown.claim.direction) == ("ends sentences with exclamation marks", "more")
    assert shown.claim.own == 100 > 1 > shown.claim.others
    assert (shown.claim.support, shown.claim.n_items) == (N_ITEMS, N_ITEMS)
    assert 0 < shown.claim.low < shown.claim.effect < shown.claim.high
    assert shown.claim.p <= 0.05
    assert shown.claim.own_showing == 1 > 0.02 > shown.claim.others_showing
    texts = {review.id: review.text for review in town.profile(UserId("loud"))}
    assert len(shown.quotes) == 2
    assert all("!" in quote.text and quote.text in texts[quote.review] for quote in shown.quotes)
    assert len({quote.review for quote in shown.quotes}) == 2


def test_the_card_says_what_it_rests_on(town):
    card = card_of(town, "loud")
    assert (card.n_reviews, card.n_items) == (N_ITEMS, N_ITEMS)
    assert card.n_peer_reviews == N_ITEMS * (N_PEERS + 1) + 1
    assert card.n_others == N_PEERS + 2
    assert str(card.n_measures) in card.method
    assert str(card.n_others) in card.basis


def test_claims_are_ranked_by_what_is_sure_of_them(town):
    nearest = [min(abs(one.claim.low), abs(one.claim.high)) for one in card_of(town, "loud").measured]
    assert len(nearest) > 1
    assert nearest == sorted(nearest, reverse=True)


def test_no_word_of_others_is_on_a_card_in_any_form(town):
    card = card_of(town, "loud", min_effect=1)
    assert card.measured
    assert card.rejected
    assert SECRET not in json.dumps(card.record()) + to_markdown(card)


def test_one_like_everybody_is_not_told_apart(town):
    card = card_of(town, "plain")
    assert card.abstains
    assert card.verdict == ABSTAINS
    assert not card.too_few


def test_what_alone_looks_different_is_listed_with_the_reason(town):
    strict = card_of(town, "loud", min_effect=50)
    assert strict.abstains
    assert {one.reason for one in strict.rejected} == {"small"}
    found = find_all_differences(town, [UserId(f"peer{k}") for k in range(N_PEERS)])
    rejected = [one for each in found for one in make_card(each, ExplainConfig()).rejected]
    assert rejected
    assert all(one.reason == "not_significant" and "corrected for" in one.detail for one in rejected)


@pytest.mark.parametrize(("user", "said"), [("lone", "0 of 5 reviews"), ("rare", "1 of 1 reviews")])
def test_one_with_too_little_to_compare_is_reported_that(town, user, said):
    card = card_of(town, user)
    assert card.abstains
    assert card.too_few
    assert said in card.verdict
    assert [line.part for line in lines(card)][:3] == ["title", "note", "verdict"]


def test_nobody_is_nobody(town):
    with pytest.raises(NotFoundError, match="nobody"):
        card_of(town, "nobody")


def test_the_newest_review_of_an_item_counts_and_old_items_are_left_out(town, monkeypatch):
    again = [
        replace(one, id=f"{one.id}-old", text=SECRET, order=one.order - 100) for one in town.profile(UserId("loud"))
    ]
    both = InMemoryReviews([], [*again, *town._reviews], {}, encoder="none")
    monkeypatch.setattr(cards, "MAX_ITEMS", 7)
    card = card_of(both, "loud")
    assert (card.n_reviews, card.n_items) == (2 * N_ITEMS, 7)
    assert claimed(card)["exclamations"] == "more"
    assert SECRET not in json.dumps(card.record())


def test_of_many_peers_some_are_drawn(town, monkeypatch):
    monkeypatch.setattr(cards, "MAX_PEERS", 3)
    card = card_of(town, "loud")
    assert card.n_peer_reviews == 3 * N_ITEMS


def test_items_with_too_few_peers_do_not_count(town):
    assert card_of(town, "loud", min_peers=N_PEERS + 2).n_items == 1
    assert card_of(town, "lone", min_peers=1).n_items == 0


def test_a_peer_who_wrote_twice_is_one_peer(town):
    twice = [replace(one, id=f"{one.id}-again") for one in town._reviews if one.user != "loud"]
    both = InMemoryReviews([], [*twice, *town._reviews], {}, encoder="none")
    for min_peers in (N_PEERS + 1, N_PEERS + 2):
        cards = [card_of(reviews, "loud", min_peers=min_peers) for reviews in (town, both)]
        assert cards[0].n_items == cards[1].n_items


def test_whoever_is_nobodys_peer_is_on_no_card_but_their_own(town):
    """A card made without them is the same to the last number."""
    apart = next(one.user for one in town._reviews if one.user != "loud")
    flagged = InMemoryReviews([], town._reviews, {}, encoder="none", opted_out={apart})
    never = InMemoryReviews([], [one for one in town._reviews if one.user != apart], {}, encoder="none")
    assert card_of(flagged, "loud") == card_of(never, "loud") != card_of(town, "loud")
    assert card_of(flagged, apart) == card_of(town, apart)


def test_a_card_is_the_same_every_time(town):
    assert card_of(town, "loud") == card_of(town, "loud")


def test_many_users_at_once_are_found_what_each_is_found_alone(town):
    config = ExplainConfig()
    loud, plain = find_all_differences(town, [UserId("loud"), UserId("plain")], config)
    assert {claim.measure.name: claim.direction for claim in loud.claims} == claimed(card_of(town, "loud"))
    assert not plain.claims


def feature(direction: str, review: str, *quotes: Quote, attribute: str = "writing/exclamations", **more) -> Feature:
    return Feature(
        name="Marks", description="uses them more", attribute=attribute, direction=direction, comparison=review,
        quotes=quotes, **more,
    )  # fmt: skip


def model_claims(town, features):
    return explain(town, UserId("loud"), config=ExplainConfig(), features=features)


def test_a_models_claim_is_confirmed_by_measures_and_quotes_only_the_user(town):
    own = town.profile(UserId("loud"))
    quotes = (Quote(text=own[0].text.split("!")[0]), Quote(text=f"It is {SECRET}."), Quote(text="x", side="peer"))
    card = model_claims(town, [feature("more", own[0].id, *quotes), feature("more", own[1].id)])
    (one,) = card.model_claims
    assert (one.support, one.opposition, one.check) == (2, 0, "confirmed")
    assert [quote.text for quote in one.quotes] == [own[0].text.split("!")[0]]
    assert SECRET not in json.dumps(card.record())


def test_a_models_claim_against_what_was_measured_is_rejected(town):
    own = town.profile(UserId("loud"))
    card = model_claims(town, [feature("fewer", own[0].id), feature("fewer", own[1].id)])
    assert not card.model_claims
    assert [(one.reason, one.count) for one in card.rejected if one.reason == "measured_opposite"] == [
        ("measured_opposite", 2)
    ]


def test_a_models_claim_that_cannot_be_measured_stands_and_one_that_does_not_recur_falls(town):
    own = town.profile(UserId("loud"))
    neutral = [feature("neutral", own[k].id, attribute="emotion/tone") for k in (0, 1)]
    dropped = feature("more", own[2].id, status="dropped", reason="peer_text")
    once = feature("more", own[0].id, attribute="pragmatics/quotes")
    card = model_claims(town, [*neutral, dropped, once])
    assert [(one.key.direction, one.check) for one in card.model_claims] == [("neutral", "unmeasured")]
    assert {"peer_text", "unsupported"} <= {one.reason for one in card.rejected}


def test_answers_of_a_model_are_checked_and_added(town, tmp_path):
    answer = "---\n[Exclamation marks]\nDifference Description: The user uses more exclamation marks than others.\n---"
    rows = [json.dumps({"review": f"loud-{k}", "answer": answer}) for k in range(3)]
    (tmp_path / "a.jsonl").write_text("\n".join([*rows, ""]))
    card = explain(town, UserId("loud"), config=ExplainConfig(), answers=tmp_path / "a.jsonl")
    assert [(one.key.path, one.support, one.check) for one in card.model_claims] == [
        ("writing/exclamations/more", 3, "confirmed")
    ]


def said(review: str, text: str) -> tuple[StageResult, ...]:
    return (StageResult(name="extract", review=ReviewId(review), text=text),)


def sample(user: str, *features: Feature, answers: tuple[StageResult, ...] = ()) -> dict:
    """A line of an evaluation's samples."""
    row = Prediction(sample=Sample(user=UserId(user), item=ItemId("i0")), method="drp", text="t", features=features)
    return sample_row(replace(row, stages=answers), None, user=user)


def test_an_evaluations_samples_are_answers_of_a_model_too(town, tmp_path):
    claims = [feature("more", f"loud-{k}") for k in range(3)]
    dropped = feature("more", "loud-3", status="dropped", reason="invented_quote")
    rows = [
        sample(
            "loud",
            *claims,
            dropped,
            feature("fewer", ""),
            answers=said("loud-0", "... one\u2028line"),
        ),
        sample(
            "loud",
            *claims,
            feature("fewer", "gone"),
            answers=said("loud-0", "..."),
        ),
        sample(
            "plain",
            *[feature("fewer", f"plain-{k}") for k in range(3)],
            answers=said("plain-0", "..."),
        ),
        sample("rare", feature("more", "rare-0")),
    ]
    write_lines(tmp_path / "drp.jsonl", rows)
    card = explain(town, UserId("loud"), config=ExplainConfig(), answers=tmp_path / "drp.jsonl")
    assert [(one.key.direction, one.support, one.opposition) for one in card.model_claims] == [("more", 3, 0)]
    assert "invented_quote" in {one.reason for one in card.rejected}
    with pytest.raises(InputError, match=r"no model was asked .* differs .*extractor"):
        explain(town, UserId("rare"), answers=tmp_path / "drp.jsonl")
    with pytest.raises(InputError, match="'lone' has no sample in it"):
        explain(town, UserId("lone"), answers=tmp_path / "drp.jsonl")
    for old in ({"extract loud-0": "..."}, 7, ["extract"]):
        write_lines(tmp_path / "old.jsonl", [{**row, "stages": old} for row in rows])
        with pytest.raises(ArtifactError, match=r"old.jsonl: 'loud': the samples are of an older version .evaluate"):
            explain(town, UserId("loud"), answers=tmp_path / "old.jsonl")


def test_answers_that_cannot_be_read_are_counted_and_none_that_can_is_an_error(town, tmp_path, caplog):
    path = tmp_path / "a.jsonl"
    answers = [
        "Certainly! Here it is.",
        "There is no difference.",
        '{"name": "Marks", "description": "More "wow" than others."}',
    ]
    path.write_text("\n".join(json.dumps({"review": f"loud-{k}", "answer": one}) for k, one in enumerate(answers)))
    explain(town, UserId("loud"), answers=path)
    assert "unreadable: 1 of 3 answers" in caplog.text
    path.write_text(json.dumps({"review": "loud-0", "answer": answers[0]}))
    with pytest.raises(InputError, match="unreadable: 1 of 1 answers"):
        explain(town, UserId("loud"), answers=path)
    row = sample("loud", answers=said("loud-0", "Certainly!"))
    write_lines(path, [row | {"usage": {"extract": {"calls": 2, "failed": 1, "unreadable": 1}}}])
    with pytest.raises(InputError, match="unreadable: 1 of 1 answers"):
        explain(town, UserId("loud"), answers=path)
    write_lines(path, [row | {"usage": {"extract": {"calls": "many"}}}, row | {"usage": []}])
    explain(town, UserId("loud"), answers=path)


def test_comparisons_that_were_not_measured_are_no_answers_of_a_model(town, tmp_path):
    write_lines(tmp_path / "a.jsonl", [sample("loud") | {"not_measured": 1}])
    with pytest.raises(InputError, match="no model was asked"):
        explain(town, UserId("loud"), answers=tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("line", "said"),
    [("{", "line 1 is not JSON"), ("[]", "line 1 has no texts"), ('{"review": "p0-0", "answer": ""}', "'p0-0'")],
)
def test_a_bad_file_of_answers_is_one_line(town, tmp_path, line, said):
    (tmp_path / "a.jsonl").write_text(line)
    with pytest.raises(InputError, match=said):
        explain(town, UserId("loud"), answers=tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="cannot read"):
        explain(town, UserId("loud"), answers=tmp_path / "none.jsonl")


def test_what_users_wrote_is_no_markup():
    assert escape("a\n<b> *c* [d](e) `f`") == r"a \<b\> \*c\* \[d\](e) \`f\`"


def test_a_page_has_its_parts_in_order(town):
    page = to_markdown(card_of(town, "loud", min_effect=1))
    parts = ["# How loud", "## Compared", "1. **", "## Not claimed", "measures were tested"]
    places = [page.index(part) for part in parts]
    assert places == sorted(places)
    assert page.endswith("\n")


def test_long_texts_and_line_breaks_do_no_harm():
    rows = [
        Review(id=f"{user}{k}", user=user, item=f"i{k}", text=text)
        for k in range(6)
        for user, text in (("a", "Mr. Fox said\nso!<br />" * 30 + "!" * 300), ("b", ""), ("c", "..."), ("d", "Fine."))
    ]
    assert card_of(InMemoryReviews([], rows, {}, encoder="none"), "a").n_items == 6


GERMAN = "Die Suppe war leider nicht sehr gut, und wir haben bei {} lange gewartet. Aber der Kaffee ist schön!"
PLAIN = [
    "The soup at {} was fine, and we liked it.",
    "We waited for the coffee at {}. It is good.",
    "{} is a nice place.",
]


def mixed_reviews() -> InMemoryReviews:
    """Hans writes in German what Ann, Bob and Cyd write in English; Dora writes both."""
    rows = [
        Review(id=f"{user}-{k}", user=user, item=f"i{k}", text=text.format(f"Cafe {k}"), order=k)
        for k in range(12)
        for user, text in [
            ("hans", GERMAN), *zip(("ann", "bob", "cyd"), PLAIN, strict=True), ("dora", GERMAN if k % 2 else PLAIN[0])
        ]
    ]  # fmt: skip
    return InMemoryReviews([], rows, {}, encoder="none")


def test_texts_that_are_not_english_are_left_out_and_counted():
    reader = mixed_reviews()
    hans, ann, dora = (explain(reader, UserId(user)) for user in ("hans", "ann", "dora"))
    assert (hans.own_left_out, hans.peers_left_out, hans.n_items) == (12, 6, 0)
    assert hans.abstains
    assert hans.verdict.startswith("how this user differs from others is not known")
    assert (ann.own_left_out, ann.peers_left_out, ann.n_items) == (0, 18, 12)
    assert (dora.own_left_out, dora.n_items) == (6, 6)
    for card in (hans, ann, dora):
        line = f"left out, because only English is measured: {card.own_left_out} reviews of the user and "
        assert line in to_markdown(card)
        assert card.record()["left_out"].startswith(line)


def test_what_two_users_need_is_counted_once_against_the_limit_of_brief_claims(town):
    users = [UserId("loud"), UserId("plain")]
    all_texts = {
        one.text for user in (*users, "rare", *(f"peer{k}" for k in range(N_PEERS))) for one in town.profile(user)
    }
    found = brief_claims(town, users, ExplainConfig(), most_texts=len(all_texts))
    assert list(found) == users
    assert "exclamations" in [claim.measure for claim in found["loud"]]
    assert brief_claims(town, users, ExplainConfig(), most_texts=5) == {}


def test_a_card_of_english_texts_says_nothing_of_languages():
    reader = mixed_reviews()
    english = [one for user in ("ann", "bob", "cyd") for one in reader.profile(UserId(user))]
    card = explain(InMemoryReviews([], english, {}, encoder="none"), UserId("ann"))
    assert (card.left_out, card.own_left_out, card.peers_left_out) == ("", 0, 0)
    assert "left out" not in to_markdown(card)


def test_no_sentence_is_quoted_twice(town):
    quotes = [quote.text for shown in card_of(town, "loud").measured for quote in shown.quotes]
    assert quotes
    assert len(quotes) == len(set(quotes))


def test_ten_claims_have_figures_and_weaker_ones_are_named(town):
    card = card_of(town, "loud")
    assert len(card.measured) > MOST_CLAIMS
    shown = list(lines(card))
    assert sum(line.part == "claim" for line in shown) == MOST_CLAIMS
    named = next(line.text for line in shown if line.text.startswith("Significant too"))
    assert all(claim.phrase in named for claim in card.measured[MOST_CLAIMS:])
    on_card = [claim["on_card"] for claim in card.record()["measured"]]
    assert on_card == [True] * MOST_CLAIMS + [False] * (len(card.measured) - MOST_CLAIMS)


def test_lines_that_a_user_pastes_are_no_style(town):
    users = ("plain", "peer1", "peer2", "peer3", "peer4")
    reviews = [review for user in users for review in town.profile(UserId(user))]
    pasted = "\nWARNING!!! ALL THAT STANDS HERE IS MY OWN OPINION!!!"
    signed = [replace(one, text=one.text + pasted) if one.user == "plain" else one for one in reviews]
    reader = InMemoryReviews([Item(id=f"i{k}") for k in range(N_ITEMS)], signed, {}, encoder="none")
    names = {shown.claim.measure.name for shown in card_of(reader, "plain").measured}
    assert not names & {"exclamations", "stacked_marks", "capitals"}
