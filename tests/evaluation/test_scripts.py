"""Texts in any script: their maximum against themselves, or no figure; English as before."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.tokenize import NLTKWordTokenizer
from sacrebleu.metrics.chrf import CHRF

from idiolect.errors import ConfigError, MissingDependencyError
from idiolect.evaluation.scoring import columns
from idiolect.metrics import scripts
from idiolect.metrics.bleu import Bleu, ChrF
from idiolect.metrics.meteor import is_english
from idiolect.metrics.registry import VARIANTS, load_metrics
from idiolect.metrics.rouge import Rouge, rouge_1, rouge_l
from idiolect.metrics.scripts import blank, kind_of, note_of, unicode_tokens, unit, words
from idiolect.pipeline.settings import Settings

TEXTS = {
    "English": "We waited a while, but the soup was good!",
    "German": "Wir haben lange gewartet, aber die Suppe war gut!",
    "Chinese": "我们等了很久,但是汤很好喝!下次还会再来。",
    "Japanese": "長い間待ちましたが、スープはとても美味しかったです。",
    "Russian": "Мы долго ждали, но суп был вкусный!",
    "Arabic": "انتظرنا طويلا لكن الحساء كان لذيذا!",
    "Hindi": "हमने बहुत देर तक इंतज़ार किया, लेकिन सूप अच्छा था।",
    "Thai": "เรารอนานมากแต่ซุปอร่อยมาก",
    "Korean": "오래 기다렸지만 수프는 맛있었어요. 다시 올게요!",
    "Greek": "Περιμέναμε πολύ, αλλά η σούπα ήταν καλή!",
    "Hebrew": "חיכינו הרבה זמן אבל המרק היה טוב!",
    "Burmese": "ဟင်းရည် အရမ်းကောင်းတယ်",
    "Khmer": "ស៊ុបឆ្ងាញ់ណាស់",
    "Armenian": "Մենք երկար սպասեցինք, բայց ապուրը լավն էր",
    "mixed": "我很喜欢 this soup, очень вкусно",
    "symbols": "🙂🙂👍 !!! 10/10",
}
KINDS = {"Chinese": "chinese", **dict.fromkeys(["Japanese", "Thai", "Burmese", "Khmer"], "unspaced")}
LATIN = ("English", "German", "symbols")


@pytest.fixture(scope="module")
def metrics() -> list[Any]:
    return load_metrics(["rouge1", "rougeL", "meteor", "bleu", "chrf"])


def ceiling(metric: Any, text: str) -> float:
    if metric.name == "meteor":
        n = len(NLTKWordTokenizer().tokenize(text) if is_english([text])[0] else unicode_tokens(text))
        return 1 - 0.5 / n**3
    return 100.0 if metric.name in ("bleu", "chrf") else 1.0


@pytest.mark.parametrize("language", TEXTS)
def test_a_text_scores_its_maximum_against_itself(language: str, metrics: list[Any]):
    text, other = TEXTS[language], "x"
    for metric in metrics:
        assert metric.aggregate(metric.segments([text], [text])) == pytest.approx(ceiling(metric, text))
        assert metric.aggregate(metric.segments([other], [text])) < 0.5
        assert not metric.unscored([text]).any()


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=30) | st.text("аб вг我们กา का é🙂!", max_size=12))
def test_any_text_scores_its_maximum_against_itself_or_has_no_figure(text: str):
    for metric in (rouge_1(), rouge_l(), ChrF()):
        if metric.unscored([text])[0]:
            assert not unicode_tokens(text)
        else:
            assert metric.aggregate(metric.segments([text], [text])) == pytest.approx(
                100 if metric.name == "chrf" else 1
            )


def test_kinds_are_those_of_most_letters():
    for language in TEXTS.keys() - {"mixed"}:
        assert kind_of(TEXTS[language]) == ("latin" if language in LATIN else KINDS.get(language, "spaced")), language
    assert kind_of("I bought 味 at the market") == "latin"
    assert unicode_tokens("naïve हिन्दी") == ["naïve", "हिन्दी"], "marks belong to their word"


@pytest.mark.parametrize("text", ["", " \n", "\u200b"])
def test_a_reference_without_a_token_gives_no_figure_and_a_note(text: str, metrics: list[Any]):
    assert blank([text, "a"]).tolist() == [True, False]
    rows = [{"nll": None, "text": "words"}] * 2
    found = columns("rag", rows, metrics, ["words", text])
    assert found.stats == {}
    assert "rag: rouge1 is left out, because it finds no token in 1 of 2 references" in found.notes
    silent = columns("rag: wrong user", [{"nll": 1.0, "text": None}] * 2, metrics, ["words", text])
    assert (list(silent.stats), silent.notes) == (["nll"], ()), "nothing was written that could be scored"
    only = columns("rag", rows, [Rouge("rouge1", tokens="rouge_score")], ["words", TEXTS["Russian"]])
    assert (only.stats, len(only.notes)) == ({}, 1)


def test_words_of_other_languages_are_not_stemmed_as_english_ones(metrics: list[Any]):
    (meteor,) = (metric for metric in metrics if metric.name == "meteor")
    inflected = TEXTS["German"].replace("lange", "langes")
    assert is_english([TEXTS["English"], TEXTS["German"], "fine"]) == [True, False, True]
    exact = meteor.segments([inflected], [TEXTS["German"]])[0, 0]
    assert exact == meteor.segments([TEXTS["German"].replace("lange", "xyz")], [TEXTS["German"]])[0, 0]
    assert "|stem:porter+none|" in str(meteor.signature())


def test_what_was_tokenized_how_is_said(metrics: list[Any]):
    rouge, bleu = Rouge("rouge1"), Bleu()
    said = [str(metric.signature()) for metric in (rouge, bleu)]
    assert "|tok:rouge_score|" in said[0]
    assert "|tok:13a|" in said[1]
    references = [TEXTS["English"], TEXTS["Chinese"], TEXTS["Russian"]]
    for metric in (rouge, bleu):
        metric.segments(references, references)
    assert "|tok:rouge_score+unicode|" in str(rouge.signature())
    assert "|tok:13a+intl+zh|" in str(bleu.signature())
    assert note_of(references).startswith("2 of 3 references are not in Latin script")
    assert note_of([TEXTS["German"]]) == ""


def test_one_tokenizer_for_all_can_be_set():
    text = TEXTS["Chinese"]
    for name in VARIANTS.keys() - {"bleu-ja-mecab", "bleu-ko-mecab", "rouge1-rouge_score", "rougeL-rouge_score"}:
        (metric,) = load_metrics([name])
        assert metric.name == name.split("-")[0]
        assert f"|tok:{name.split('-')[1]}|" in str(metric.signature())
        assert metric.aggregate(metric.segments([text], [text])) >= 0
    assert Settings(metrics=("rougeL-unicode", "bleu-zh", "chrf")).metrics[1] == "bleu-zh"
    with pytest.raises(ConfigError, match="unknown tokenizer 'zhh'"):
        Bleu("zhh")


def test_a_tokenizer_that_is_not_installed_names_its_package():
    if find_spec("MeCab") is None:
        with pytest.raises(MissingDependencyError, match=r"sacrebleu\[ja\]"):
            Bleu("ja-mecab")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.text("ab cдё我", max_size=12), st.text("ab cдё我", max_size=12)), min_size=1, max_size=4))
def test_chrf_is_that_of_sacrebleu(pairs: list[tuple[str, str]]):
    predictions, references = [p for p, _ in pairs], [r for _, r in pairs]
    metric = ChrF()
    expected = CHRF().corpus_score(predictions, [references]).score
    assert metric.aggregate(metric.segments(predictions, references)) == pytest.approx(expected, abs=1e-9)


def test_each_sample_of_a_mixed_corpus_has_its_own_tokens():
    references = list(TEXTS.values())
    for metric in (rouge_1(), rouge_l(), Bleu()):
        together = metric.segments(references, references)
        alone = [metric.segments([text], [text]) for text in references]
        np.testing.assert_array_equal(together, np.concatenate(alone))


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
    assert scripts._compiled(scripts._WORDS).findall(text.lower()) == expected, "the same beside other scripts"
    assert all(unit(word) == "word" for word in expected)


def test_letters_of_other_scripts_are_in_none_of_the_european_blocks():
    other = regex.compile(r"[[\p{L}\p{M}]--[\p{Latin}\p{Greek}\p{Cyrillic}\p{Common}\p{Inherited}]]", regex.V1)
    european = regex.compile(r"[\p{L}&&[\p{Latin}\p{Greek}\p{Cyrillic}]]", regex.V1)
    for char in map(chr, range(sys.maxunicode + 1)):
        inside = scripts._EUROPEAN.fullmatch(char) is not None
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
    letters = regex.findall(r"\p{L}", text.lower())
    assert [letter for word in words(text) for letter in regex.findall(r"\p{L}", word)] == letters
