"""Texts in any script: their maximum against themselves, or no figure; English as before."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.tokenize import NLTKWordTokenizer
from sacrebleu.metrics.chrf import CHRF

from idiolect.errors import ConfigError, MissingDependencyError
from idiolect.evaluation.columns import columns
from idiolect.metrics.bleu import Bleu, ChrF
from idiolect.metrics.meteor import is_english
from idiolect.metrics.registry import VARIANTS, load_metrics
from idiolect.metrics.rouge import Rouge, rouge_1, rouge_l
from idiolect.metrics.scripts import blank, note_of
from idiolect.pipeline.settings import Settings
from idiolect.words import unicode_tokens

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
