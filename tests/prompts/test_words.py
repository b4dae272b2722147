"""Ids by words are the ids of the whole text, or the tokenizer is not taken for one that works by words."""

from __future__ import annotations

import copy

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import normalizers, pre_tokenizers

from idiolect.prompts.tokenization import PATTERNS, WordTokenCache, tokenizes_by_words

# As their tokenizer.json has them.
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
PIECES = [
    "Past words", " and", " more", " ibuprofen", "don't", "'s", " 's", "12345", " 7", " z", "x ", "a b c", ". ", " (a)",
    "- Item: it", "/", " /b", "  ", " ", "\n", "\t", "!\n\n", "\r\n y", "\u00a0x", "\u3000", "Ünï", "e\u0301", "日 語",
]  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=14).map("".join)


def split_by(pattern, behavior="isolated"):
    split = pre_tokenizers.Split(tokenizers.Regex(pattern), behavior)
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


@pytest.fixture(scope="session")
def kinds(tiny_tokenizer):
    """GPT-2's way of cutting, Qwen's (with its normaliser and words added) and Llama's."""
    found = {"gpt2": tiny_tokenizer}
    for name, pattern in {"qwen": QWEN, "llama": LLAMA}.items():
        found[name] = copy.deepcopy(tiny_tokenizer)
        found[name].backend_tokenizer.pre_tokenizer = split_by(pattern)
    found["qwen"].backend_tokenizer.normalizer = normalizers.NFC()
    found["qwen"].add_tokens(["ibuprofen", tokenizers.AddedToken("more", single_word=True)])
    return found


def words_of(tokenizer, **options):
    return WordTokenCache(lambda texts: tokenizer(list(texts), add_special_tokens=False)["input_ids"], **options)


def test_the_patterns_are_those_of_qwen_and_llama():
    assert frozenset({QWEN, LLAMA}) == PATTERNS


@pytest.mark.parametrize("kind", ["gpt2", "qwen", "llama"])
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_a_text_has_the_ids_of_its_words(kinds, kind, text):
    tokenizer = kinds[kind]
    assert tokenizes_by_words(tokenizer)
    assert words_of(tokenizer).ids(text) == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_a_word_is_tokenized_once_until_there_are_too_many():
    asked = []

    def tokenize(texts):
        asked.extend(texts)
        return [[len(text)] for text in texts]

    words = WordTokenCache(tokenize, max_words=3)
    assert words.ids("a bb a bb ccc") == words.ids("a bb a bb ccc") == [1, 3, 2, 3, 4]
    assert sorted(asked) == [" a", " bb", " ccc", "a"]
    assert words.ids("dd bb") == [2, 3]
    assert words.ids("a bb") == [1, 3]
    assert asked.count(" bb") == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda own: setattr(own.backend_tokenizer, "normalizer", normalizers.NFKC()),
        lambda own: setattr(own.backend_tokenizer, "normalizer", normalizers.Replace("a b", "c")),
        lambda own: setattr(own.backend_tokenizer, "pre_tokenizer", pre_tokenizers.Metaspace()),
        lambda own: setattr(own.backend_tokenizer, "pre_tokenizer", split_by(r"\s+\S+\s+\S+|.")),
        lambda own: setattr(own.backend_tokenizer, "pre_tokenizer", split_by(QWEN, "removed")),
        lambda own: setattr(own.backend_tokenizer, "pre_tokenizer", pre_tokenizers.ByteLevel(use_regex=False)),
        lambda own: setattr(own.backend_tokenizer.model, "dropout", 0.5),
        lambda own: own.add_tokens(["New York"]),
        lambda own: own.add_tokens([tokenizers.AddedToken("<mask>", lstrip=True)]),
    ],
)
def test_a_tokenizer_that_may_look_beyond_a_word_is_not_taken_for_one_that_does_not(tiny_tokenizer, change):
    own = copy.deepcopy(tiny_tokenizer)
    change(own)
    assert not tokenizes_by_words(own)


def test_a_tokenizer_in_python_is_not_taken_for_one():
    assert not tokenizes_by_words(object())
