"""What a user repeats from text to text is counted, and what everybody writes is not reported."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.explain.recurring import LEAST_SHARE, LONGEST, recurring_phrases
from idiolect.explain.run import explain
from idiolect.peers import InMemoryReviews
from idiolect.types import Item, Review

BODIES = ("It pours dark and smells of bread.", "A tune of some charm, played well.", "Slow, long and dull in parts.",
          "The plot holds until the ferry.", "Nobody told me about the smell.")  # fmt: skip
PASTED = "Disclosure: the publisher sent me a copy for an honest review."


def found(own, others=()):
    return {(one.place, one.text): one for one in recurring_phrases(own, others)}


@pytest.mark.parametrize("parting", ["Cheers, Ann!", "And that, as they say, is that.", "Ta-ta"])
@pytest.mark.parametrize("by", [" ", "\n", "\n\n"])
def test_a_parting_is_found_however_it_is_set(parting, by):
    one = found([f"{body}{by}{parting}" for body in BODIES], BODIES)["ends", parting]
    assert (one.sentence, one.n, one.of, one.others) == ("ends every review with", 5, 5, 0)
    assert one.figures == "5 of 5 reviews; 0 of 5 by others on the same items"


def test_how_often_is_said_as_it_is():
    signed = [f"{body} Cheers!" for body in BODIES]
    assert found([*signed[:3], *BODIES[3:]])["ends", "Cheers!"].sentence == "ends most reviews with"
    assert found([*signed[:3], *BODIES * 1])["ends", "Cheers!"].sentence == "ends some reviews with"
    assert found([*signed[:2], *BODIES[2:]]) == {}
    assert found([*signed[:3], *BODIES * 3]) == {}


def test_spelling_does_not_count_and_what_is_shown_is_what_is_written_most():
    one = found(["It is fine. cheers ann", "It is bad. Cheers, Ann!", "It is odd. Cheers, Ann!"])[
        "ends", "Cheers, Ann!"
    ]
    assert one.n == 3


def test_a_pasted_line_and_a_beginning():
    own = [f"Short version: fine. {body}\n{PASTED}\nThen the end of number {n}." for n, body in enumerate(BODIES)]
    phrases = found(own)
    assert phrases["pastes", PASTED].sentence == "has in every review the line"
    assert phrases["begins", "Short version: fine."].n == 5
    assert len(phrases) <= 5


def test_what_others_write_too_is_not_the_users():
    own = [f"{body} Recommended." for body in BODIES]
    assert found(own, [f"{body} Recommended." for body in BODIES]) == {}
    assert found(own, [*BODIES * 4, "Nice. Recommended."])["ends", "Recommended."].others == 1


SAYING = "give or take a biscuit"
SPOKEN = [f"{body[:-1]}, {SAYING}, and {n} more things came. Then it went on." for n, body in enumerate(BODIES)]


def test_a_catchphrase_is_found_wherever_it_stands():
    one = found(SPOKEN, BODIES)["says", SAYING]
    assert (one.sentence, one.n, one.of, one.others, one.of_others) == ("says in every review", 5, 5, 0, 5)
    moved = [*SPOKEN[:3], f"Give or take a biscuit, I liked it. {BODIES[3]}", f"It is round. Well {SAYING.upper()}!"]
    assert found(moved, BODIES)["says", SAYING].n == 5
    assert found([*SPOKEN[:2], *BODIES[2:]]) == {}


def test_a_catchphrase_that_others_use_too_or_of_function_words_alone_is_not_the_users():
    assert ("says", SAYING) not in found(SPOKEN, [*BODIES, SPOKEN[0]])  # a fifth of theirs
    assert found(SPOKEN, [*BODIES * 4, SPOKEN[0]])["says", SAYING].others == 1
    plain = [f"{body[:-1]}, and it was with that of the one there. So it went. {n}" for n, body in enumerate(BODIES)]
    assert [place for place, _ in found(plain, BODIES)] == []


def test_no_phrase_is_said_twice_or_inside_another():
    long = "as my dear old aunt used to say on rainy days in June"
    own = [f"{body[:-1]}, {long}, {n} times. Cheers, my dear old aunt!" for n, body in enumerate(BODIES)]
    phrases = [text.casefold() for _, text in found(own, BODIES)]
    assert any("aunt used to" in text for text in phrases)
    runs = [{tuple(words[k : k + 3]) for k in range(len(words) - 2)}
            for words in (re.findall(r"\w+", text) for text in phrases)]  # fmt: skip
    assert all(not first & second for first, second in combinations(runs, 2))


def test_a_text_of_one_sentence_has_no_end():
    assert found(["Very good."] * 5) == {}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=8), st.lists(st.text(max_size=80), max_size=8))
def test_counts_are_counts_of_any_texts(own, others):
    phrases = recurring_phrases(own, others)
    assert len(phrases) <= 5
    keys = [re.findall(r"[\w'’]+", one.text.casefold()) for one in phrases]
    for first, second in combinations(keys, 2):
        assert f" {' '.join(first)} " not in f" {' '.join(second)} "
        assert f" {' '.join(second)} " not in f" {' '.join(first)} "
    for one in phrases:
        assert max(3, LEAST_SHARE * len(own)) <= one.n <= one.of == len(own)
        assert 0 <= one.others <= one.of_others == len(others)
        assert 0 < len(one.text) <= LONGEST


def test_the_card_says_it_apart_from_claims_and_a_pasted_line_is_no_style():
    items = [Item(id=f"i{n}") for n in range(5)]
    reviews = [
        Review(id=f"a{n}", user="ann", item=f"i{n}", text=f"{body}\nOn *it*, Ann.") for n, body in enumerate(BODIES)
    ]
    reviews += [Review(id=f"b{n}", user="bob", item=f"i{n}", text=f"{body} Good.") for n, body in enumerate(BODIES)]
    card = explain(InMemoryReviews(items, reviews, {}, encoder="none"), "ann")
    assert card.abstains
    assert "This user ends every review with “On *it*, Ann.” (5 of 5 reviews; 0 of 5 by others" in card.text
    assert r"“On \*it\*, Ann.”" in card._repr_markdown_()
    assert card.record()["recurring"][0]["place"] == "ends"


OTHER_SCRIPTS = {
    "Chinese": (
        ["今天的汤很咸。", "这家店有点远。", "服务员很忙。", "价格还算可以。", "位子不太好找。"],
        "下次还会再来的哦！", "说句老实话",
    ),
    "Japanese": (
        ["スープがとても熱い。", "駅から少し遠い。", "店員さんが忙しそう。", "値段は普通でした。", "席が狭かった。"],
        "また絶対に行きたいです！", "個人的な意見",
    ),
    "Thai": (
        ["ซุปเค็มมาก!", "ร้านอยู่ไกล!", "พนักงานยุ่ง!", "ราคาพอใช้ได้!", "ที่นั่งแคบ!"],
        "ไว้คราวหน้าจะมาอีกแน่นอน!", "พูดกันตามตรง",
    ),
    "Hindi": (
        ["सूप बहुत नमकीन था।", "दुकान थोड़ी दूर है।", "लोग व्यस्त थे।", "दाम ठीक था।", "जगह छोटी थी।"],
        "अगली बार फिर ज़रूर आऊँगा!", "सच कहूँ तो भाई",
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", OTHER_SCRIPTS)
def test_phrases_of_other_scripts_are_found_at_the_end_and_anywhere(language):
    bodies, parting, saying = OTHER_SCRIPTS[language]
    signed = found([f"{body} {parting}" for body in bodies], bodies)
    assert signed["ends", parting].n == 5
    between = "" if language in ("Chinese", "Japanese", "Thai") else " "
    told = [f"{body[:-1]}{between}{saying}{between}{bodies[n - 1]} {n}" for n, body in enumerate(bodies)]
    texts = [text for (place, text) in found(told, bodies) if place == "says"]
    assert texts == [saying]


def test_chinese_sentences_end_without_a_blank():
    bodies, parting, _ = OTHER_SCRIPTS["Chinese"]
    assert found([f"{body}{parting}" for body in bodies], bodies)["ends", parting].n == 5
    assert ("ends", "来。」") not in found([f"{body}他说：「来。」" for body in bodies], bodies)
