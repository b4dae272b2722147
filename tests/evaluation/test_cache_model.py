"""The bigram model with a cache, against a plain one that counts with dictionaries."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.errors import InputError
from idiolect.evaluation.cache_model import WEIGHTS, cache_gains

TEXT = st.lists(st.sampled_from(["so", "good", "nice", "tea", "pot", "odd", "好", "吃"]), max_size=6).map(" ".join)
PAST = st.fixed_dictionaries({user: st.lists(TEXT, max_size=3) for user in "ab"})
MEASURED = st.lists(st.tuples(st.sampled_from("ab"), TEXT), min_size=2, max_size=5)


def plain_nats(background, past, text, weight):
    words = Counter(word for one in background for word in one.split())
    pairs = Counter(pair for one in background for pair in zip(["<s>", *one.split()], one.split(), strict=False))
    before = Counter(a for (a, _), n in pairs.items() for _ in range(n))
    n = len(words) + 2
    cache = Counter(word for one in past for word in one.split() if word in words)
    nats, previous = 0.0, "<s>"
    for word in text.split():
        known = word if word in words else "<unknown>"
        prior = (words[known] + 0.5) / (words.total() + 0.5 * n)
        bigram = (pairs[previous, known] + 8 * prior) / (before[previous] + 8)
        nats -= math.log((1 - weight) * bigram + weight * (cache[known] / cache.total() if cache else bigram))
        previous = known
    return nats


@settings(deadline=None, max_examples=60)
@given(background=st.lists(TEXT, min_size=1, max_size=6), past=PAST, texts=MEASURED)
def test_probabilities_are_those_of_a_plain_program(background, past, texts):
    found = cache_gains(background, past, texts, texts)
    other = {"a": "b", "b": "a"}
    for k, (user, text) in enumerate(texts):
        assert found.without[k] == pytest.approx(plain_nats(background, [], text, 0.0))
        assert found.own[k] == pytest.approx(plain_nats(background, past[user], text, found.weight))
        assert found.other[k] == pytest.approx(plain_nats(background, past[other[user]], text, found.weight))
    tried = [sum(plain_nats(background, past[user], text, one) for user, text in texts) for one in WEIGHTS]
    assert found.own.sum() == pytest.approx(min(tried))


def corpus(habits):
    rng = np.random.default_rng(0)
    common = ["tea", "pot", "cup", "leaf", "hot", "cold"]

    def text(user):
        return " ".join(rng.choice([*common, *habits[user]], 12))

    past = {user: [text(user) for _ in range(6)] for user in habits}
    targets = [[(user, text(user)) for user in habits] for _ in range(2)]
    return [text for texts in past.values() for text in texts], past, *targets


def test_users_with_words_of_their_own_are_told_apart_and_others_are_not():
    own = cache_gains(*corpus({f"u{k}": [f"w{k}"] * 3 for k in range(12)}))
    assert own.gain().low > 0
    assert own.cost().low > own.gain().low
    same = cache_gains(*corpus({f"u{k}": ["w"] * 3 for k in range(12)}))
    assert same.cost().low <= 0 <= same.cost().high


def test_characters_are_the_words_of_scripts_without_blanks():
    common, rng = "茶壶杯叶热冷", np.random.default_rng(0)
    drawn = {f"u{k}": ["".join(rng.choice([*common, *chr(0x4E00 + k) * 3], 12)) for _ in range(8)] for k in range(12)}
    past = {user: texts[:6] for user, texts in drawn.items()}
    targets = [[(user, texts[k]) for user, texts in drawn.items()] for k in (6, 7)]
    found = cache_gains([text for texts in past.values() for text in texts], past, *targets)
    assert found.gain().low > 0
    assert found.cost().low > 0
    assert found.n_unspaced == 12
    spaced = [[(user, " ".join(text)) for user, text in texts] for texts in targets]
    again = cache_gains([" ".join(text) for texts in past.values() for text in texts], past, *spaced)
    np.testing.assert_array_equal(found.own, again.own)
    assert cache_gains(["so"], {"a": ["so"], "b": ["x"]}, [("a", "so")], [("a", "so")]).n_unspaced == 0


@pytest.mark.parametrize("nothing", [[], [""], ["  "], ["unheard"]])
def test_a_user_without_known_past_words_costs_and_saves_nothing(nothing):
    found = cache_gains(["so good", "so nice"], {"a": nothing, "b": ["so"]}, [("b", "so so")], [("a", "so good")])
    assert found.weight > 0
    assert found.own == pytest.approx(found.without)


def test_a_user_without_past_texts_is_named():
    with pytest.raises(InputError, match="'eve'"):
        cache_gains(["x"], {"a": ["x"], "b": ["x"]}, [("a", "x")], [("eve", "x")])


@pytest.mark.parametrize(("past", "texts"), [({"a": ["x"]}, [("a", "x")]), ({"a": ["x"], "b": []}, [])])
def test_too_few_users_or_texts_are_refused(past, texts):
    with pytest.raises(InputError, match="two users"):
        cache_gains(["x"], past, texts, texts)
