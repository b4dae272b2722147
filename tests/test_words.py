"""Words of any script: nothing but the standard library, compared with the Unicode properties of ``regex``."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

import idiolect.words as own
from idiolect.words import WordPattern, kind_of, runs, size, terms, unicode_tokens, unit, words

KINDS = {
    "Wir haben lange gewartet, aber die Suppe war gut!": "latin",
    "🙂🙂👍 !!! 10/10": "latin",
    "I bought 味 at the market": "latin",
    "Мы долго ждали, но суп был вкусный!": "spaced",
    "انتظرنا طويلا لكن الحساء كان لذيذا!": "spaced",
    "हमने बहुत देर तक इंतज़ार किया, लेकिन सूप अच्छा था।": "spaced",
    "오래 기다렸지만 수프는 맛있었어요.": "spaced",
    "我们等了很久,但是汤很好喝!下次还会再来。": "chinese",
    "長い間待ちましたが、スープはとても美味しかったです。": "unspaced",
    "เรารอนานมากแต่ซุปอร่อยมาก": "unspaced",
    "ဟင်းရည် အရမ်းကောင်းတယ်": "unspaced",
    "ស៊ុបឆ្ងាញ់ណាស់": "unspaced",
}


@pytest.mark.parametrize(("text", "kind"), KINDS.items())
def test_kinds_are_those_of_most_letters(text: str, kind: str):
    assert kind_of(text) == kind


def test_marks_belong_to_their_word():
    assert unicode_tokens("naïve nai\u0308ve हिन्दी 5") == ["naïve", "nai\u0308ve", "हिन्दी", "5"]
    assert unicode_tokens("🙂👍\ufe0f !") == ["🙂", "👍\ufe0f", "!"]


SCRIPTS = {
    "_HAN": r"[[\p{Han}]]",
    "_CHARACTERS": r"[\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Yi}\u30fc\uff70]",
    "_LETTERS": r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Javanese}]",
    "_LATIN": r"\p{Latin}",
}


@pytest.mark.parametrize(("ranges", "property"), SCRIPTS.items())
def test_ranges_of_scripts_are_those_of_unicode(ranges: str, property: str):
    inside, known = re.compile(f"[{getattr(own, ranges)}]"), regex.compile(property, regex.V1)
    for char in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(char)[0] in "LM":
            assert (inside.match(char) is None) == (known.match(char) is None), hex(ord(char))


def test_no_text_needs_a_package_beside_the_standard_library():
    said = "import sys; sys.modules['regex'] = None; from idiolect.words import *; print(words('One 茶 หิว हि'))"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True, encoding="utf-8")
    assert done.stdout.strip() == "['one', '茶', 'หิ', 'ว', 'हि']"


WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
"""What a word was in every script."""
EUROPEAN = st.text(
    st.characters(max_codepoint=0x52F, exclude_characters="".join(map(chr, range(0x3E2, 0x3F0))))
    | st.sampled_from("'’ '’  ảἀẞ…–“”€½²Ⅳ№🙂ﬁＡ\u0301\ufe0f\u200d"),
    max_size=40,
)


@settings(deadline=None, max_examples=300)
@given(EUROPEAN)
def test_words_of_latin_cyrillic_and_greek_texts_are_what_they_were(text: str):
    expected = WORD.findall(text.lower())
    assert words(text) == expected
    assert own._words().findall(text.lower()) == expected, "the same beside other scripts"
    assert all(unit(word) == "word" for word in expected)


def test_letters_of_other_scripts_are_in_none_of_the_european_blocks():
    other = regex.compile(r"[[\p{L}\p{M}]--[\p{Latin}\p{Greek}\p{Cyrillic}\p{Common}\p{Inherited}]]", regex.V1)
    european = regex.compile(r"[\p{L}&&[\p{Latin}\p{Greek}\p{Cyrillic}]]", regex.V1)
    for char in map(chr, range(sys.maxunicode + 1)):
        inside = own._IS_EUROPEAN.fullmatch(char) is not None
        assert not (inside and other.match(char)), hex(ord(char))
        assert inside or ord(char) > 0xFFFF or not european.match(char), hex(ord(char))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我们很喜欢, 2023年!", ["我", "们", "很", "喜", "欢", "年"]),
        ("ラーメンを食べた", ["ラ", "ー", "メ", "ン", "を", "食", "べ", "た"]),
        ("หิวมาก", ["หิ", "ว", "ม", "า", "ก"]),
        ("हमने हिन्दी में पढ़ा।", ["हमने", "हिन्दी", "में", "पढ़ा"]),
        ("كِتابي جميل", ["كِتابي", "جميل"]),
        ("맛있어요 정말", ["맛있어요", "정말"]),
        ("Don’t eat 茶thé 5", ["don’t", "eat", "茶", "thé"]),
        ("Это не так, d’accord?", ["это", "не", "так", "d’accord"]),
    ],
)
def test_words_of_any_script(text: str, expected: list[str]):
    assert words(text) == expected
    assert {unit(word) for word in words("ラー字")} == {"character"}
    assert {unit(word) for word in words("หิมาཀ")} == {"letter"}


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=30) | st.text("аб вг我们กา का é🙂ー'!", max_size=12))
def test_words_of_any_text_lose_no_letter(text: str):
    letters = [char for char in text.lower() if char.isalpha()]
    assert [char for word in words(text) for char in word if char.isalpha()] == letters


PATTERN = WordPattern(r"[^\W_]+(?:['’][^\W_]+)*")


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=("M", "Cs"), max_codepoint=0xDFF)))
def test_a_pattern_is_used_as_it_is_where_nothing_is_to_be_added(text: str):
    assert PATTERN.findall(text) == re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text)


def test_a_pattern_finds_characters_and_words_with_marks_at_their_places():
    text = "don't 很好_ok हिन्दी ก็ดี!"
    found = list(PATTERN.finditer(text))
    assert [one[0] for one in found] == ["don't", "很", "好", "ok", "हिन्दी", "ก็", "ดี"]
    assert [text[one.start() : one.end()] for one in found] == [one[0] for one in found]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(["so", "很", "か", "ก็", "हि"])), st.integers(1, 6))
def test_runs_are_the_shortest_that_are_as_long_as_so_many_words(tokens: list[str], n: int):
    found = dict(runs(tokens, n))
    for first in range(len(tokens)):
        long_enough = [end for end in range(first, len(tokens) + 1) if sum(map(size, tokens[first:end])) >= 16 * n]
        assert found.get(first) == (long_enough[0] if long_enough else None)


@given(st.text(st.characters(exclude_categories=("Cs",), max_codepoint=0xDFF)))
def test_terms_of_texts_with_blanks_are_what_stands_between_them(text: str):
    assert terms(text) == text.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("茶", ["茶"]),
        ("绿茶很好,very good!", ["绿茶", "茶很", "很好", "very", "good!"]),
        ("Buy 绿茶, Now!", ["Buy", "绿茶", "Now!"]),
        ("กินข้าว", ["กินข้", "นข้า", "ข้าว"]),
    ],
)
def test_terms_of_scripts_without_blanks_are_short_rows_of_characters(text: str, expected: list[str]):
    assert terms(text) == expected
