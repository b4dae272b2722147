"""Style between floor and ceiling, authorship, and copied sequences."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.evaluation.calibration import CEILING, FLOOR, calibrate
from idiolect.metrics.authorship import Authorship, copied, has_words
from idiolect.types import ConditionId, Sample
from idiolect.words import words

N_USERS, N_ITEMS = 12, 8
COMMON = ["the", "of", "and", "so", "but", "very", "it", "is", "was", "to", "in", "that"]


def text_of(rng, user, item):
    """Each user has own rates of common words; the item's words are everybody's."""
    rates = np.exp(np.random.default_rng(user).normal(0, 1, len(COMMON)))
    chosen = rng.choice(COMMON, 40, p=rates / rates.sum())
    return " ".join([*chosen, *rng.choice([f"thing{item}", f"part{item}"], 10)])


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(0)
    rows = [
        {"user": f"u{user}", "item": f"i{item}", "text": text_of(rng, user, item)}
        for user in range(N_USERS)
        for item in range(N_ITEMS)
    ]
    samples = [Sample(user=f"u{user}", item="i0", reference=text_of(rng, user, 0)) for user in range(N_USERS)]
    return samples, pl.DataFrame(rows)


def calibrated(corpus, **written):
    samples, reviews = corpus
    runs = {ConditionId(name): texts for name, texts in written.items()}
    return calibrate(samples, reviews, runs, None, seed=0, resamples=300)


def test_a_perfect_imitator_is_at_the_ceiling_and_another_user_at_the_floor(corpus):
    rng = np.random.default_rng(5)
    same = [text_of(rng, user, 0) for user in range(N_USERS)]
    other = [text_of(rng, (user + 5) % N_USERS, 0) for user in range(N_USERS)]
    found = calibrated(corpus, same=same, other=other)
    assert found.n_samples == N_USERS
    for measure in ("burrows-delta", "attribution"):
        assert found.rows["same"][measure].share.value == pytest.approx(1, abs=0.2)
        assert found.rows["other"][measure].share.value == pytest.approx(0, abs=0.25)
    assert found.rows[CEILING]["attribution"].value.value > 0.9
    assert 0.3 < found.rows[FLOOR]["attribution"].value.value < 0.7


def test_copying_the_history_shows(corpus):
    samples, reviews = corpus
    past = [reviews.filter(pl.col("user") == sample.user)["text"][1] for sample in samples]
    found = calibrated(corpus, copy=past)
    assert found.rows["copy"]["copied from history"].value.value == 1
    assert found.rows[CEILING]["copied from history"].value.value < 0.2
    assert "copied from peers" not in found.rows[FLOOR]


def test_without_a_difference_between_users_no_share_is_shown(corpus):
    samples, reviews = corpus
    alike = reviews.with_columns(text=pl.lit("the same text of everybody, always"))
    same = [Sample(user=one.user, item=one.item, reference="the same text of everybody, always") for one in samples]
    found = calibrate(same, alike, {ConditionId("rag"): ["anything"] * len(same)}, None, seed=0, resamples=100)
    assert found.rows["rag"]["attribution"].share is None
    assert "(" not in found.to_markdown().splitlines()[-3]


def test_samples_without_real_texts_to_compare_with_are_left_out(corpus):
    samples, reviews = corpus
    lone = [*samples, Sample(user="u0", item="unknown", reference="x"), Sample(user="new", item="i0", reference="x")]
    found = calibrate(lone, reviews, {ConditionId("rag"): ["x"] * len(lone)}, None, seed=0, resamples=100)
    assert found.n_samples == N_USERS
    assert calibrate(lone[-2:], reviews, {}, None, seed=0, resamples=100) is None


@given(st.lists(st.text(alphabet="ab 'é", max_size=30), min_size=1, max_size=5))
def test_any_text_has_finite_values(texts):
    found = Authorship({"ann": texts, "bob": ["a b a b"]})
    assert np.isfinite(found.delta(texts, ["ann"] * len(texts))).all()
    share = found.attribution(texts, ["bob"] * len(texts))
    assert ((share >= 0) & (share <= 1)).all()
    assert ((copied(texts, [texts] * len(texts)) == 1) == [len(words(text)) >= 5 for text in texts]).all()


def foreign_corpus(pieces):
    """The corpus with users' own rates of common pieces of text, of other scripts."""
    rng = np.random.default_rng(0)

    def text(user):
        rates = np.exp(np.random.default_rng(user).normal(0, 1, len(pieces)))
        return "".join(rng.choice(pieces, 60, p=rates / rates.sum()))

    rows = [{"user": f"u{k % N_USERS}", "item": f"i{k // N_USERS}", "text": text(k % N_USERS)} for k in range(96)]
    samples = [Sample(user=f"u{user}", item="i0", reference=text(user)) for user in range(N_USERS)]
    return samples, pl.DataFrame(rows)


def test_users_are_told_apart_by_common_characters_of_chinese():
    samples, reviews = foreign_corpus(list("的了是在不我有这也都很就吗呢吧。,"))
    found = calibrate(samples, reviews, {}, None, seed=0, resamples=100)
    assert found.rows[CEILING]["attribution"].value.value > 0.9
    assert 0.3 < found.rows[FLOOR]["attribution"].value.value < 0.7
    assert found.left_out == {}
    assert "12 of 12 samples have a script without blanks between words" in found.to_markdown()


def test_letters_of_thai_are_no_words_so_delta_is_left_out_and_copying_is_measured():
    samples, reviews = foreign_corpus(["อร่อย", "มาก", "แต่", "รอ", "นาน", "ซุป", "ร้อน", "ไม่"])
    copies = [reviews.filter(pl.col("user") == one.user)["text"][1] for one in samples]
    found = calibrate(samples, reviews, {ConditionId("copy"): copies}, None, seed=0, resamples=100)
    assert found.left_out == {"burrows-delta": 12, "attribution": 12}
    assert "attribution is left out: 12 of 12 samples are in a script whose letters" in found.to_markdown()
    assert found.rows["copy"].keys() == {"copied from history", "copied from peers"}
    assert found.rows["copy"]["copied from history"].value.value == 1
    assert found.rows[CEILING]["copied from history"].value.value < 0.5


def test_one_thai_sample_changes_no_delta_of_the_others(corpus):
    samples, reviews = corpus
    thai = pl.DataFrame([{"user": "thai", "item": f"i{k}", "text": "อร่อยมากแต่รอนาน"} for k in range(3)])
    more = [*samples, Sample(user="thai", item="i0", reference="รอนานแต่อร่อยมาก")]
    texts = {ConditionId("rag"): ["so very good"] * len(more)}
    found = calibrate(more, pl.concat([reviews, thai]), texts, None, seed=0, resamples=100)
    alone = calibrate(
        samples, reviews, {ConditionId("rag"): texts[ConditionId("rag")][1:]}, None, seed=0, resamples=100
    )
    assert found.left_out == {"burrows-delta": 1, "attribution": 1}
    for measure in found.left_out:
        for title in ("rag", CEILING):
            assert found.rows[title][measure].value == alone.rows[title][measure].value


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("我们等了很久,但是汤很好喝", "。下次还会再来"),
        ("長い間待ちましたがスープは", "おいしいラーメン"),
        ("เรารอนานมากแต่ซุปอร่อยมาก", "และข้าว"),
        ("हमने बहुत देर तक इंतज़ार किया", " और चाय"),
        ("오래 기다렸지만 수프는 정말 맛있었어요 다시", " 올게요"),
    ],
)
def test_copies_are_found_in_any_script(text, more):
    assert copied([text], [[text]]).tolist() == [1.0]
    assert 0 < copied([text + more], [["other", text]])[0] < 1
    assert copied([text], [["good", text[:4]]]).tolist() == [0.0]
    assert has_words(text) == ("รอ" not in text)


def test_a_foreign_name_in_an_english_text_is_no_sequence_by_itself():
    text, source = "we had 红烧牛肉面 there", "they sell 红烧牛肉面 here"
    assert copied([text], [[source]]).tolist() == [0.0], "five characters are three words"


def five_words(texts, sources):
    """As it was for every text: each run of five words."""

    def runs(text):
        found = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text.lower())
        return {tuple(found[k : k + 5]) for k in range(len(found) - 4)}

    pairs = [(runs(text), set().union(*map(runs, known))) for text, known in zip(texts, sources, strict=True)]
    return [len(own & known) / len(own) if own else 0 for own, known in pairs]


SHORT = st.lists(st.sampled_from(["so", "été", "d’accord", "это", "ναι", "x²", "20", "e\u0301", "!"]), max_size=9)


@given(st.lists(st.tuples(SHORT.map(" ".join), st.lists(SHORT.map(" ".join), max_size=3)), max_size=4))
def test_sequences_of_european_texts_are_of_five_words(pairs):
    texts, sources = [text for text, _ in pairs], [known for _, known in pairs]
    assert copied(texts, sources).tolist() == five_words(texts, sources)
