from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.prompts.render import render
from idiolect.prompts.tokenize import PromptTokenizer
from idiolect.training.documents import DocumentConfig, contexts, documents, tokenizer_texts
from idiolect.types import Item, ItemId, Review, ReviewId, UserId


def corpus(per_user=(5, 1, 8), seed=0, ties=False):
    """Reviews that say their own id, in no order; some of a user's share a timestamp, and with ``ties`` the order."""
    rng = np.random.default_rng(seed)
    made = [
        Review(
            id=ReviewId(f"u{u}-{k}"),
            user=UserId(f"u{u}"),
            item=ItemId(f"i{(u + k) % 6}"),
            text=f"written u{u}-{k} " + "and more " * int(rng.integers(0, 12)),
            rating=float(rng.integers(1, 6)),
            title=f"called u{u}-{k}",
            timestamp=100 + k // 2,
            order=0 if ties else k,
        )
        for u, n in enumerate(per_user)
        for k in range(n)
    ]
    return [made[k] for k in rng.permutation(len(made))]


ITEMS = {ItemId(f"i{k}"): Item(id=ItemId(f"i{k}"), title=f"Thing {k}") for k in range(5)}


def built(reviews, config=None, seed=0):
    return list(contexts(reviews, ITEMS, config or DocumentConfig(), np.random.default_rng(seed)))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), per_user=st.lists(st.integers(1, 12), max_size=6), ties=st.booleans())
def test_every_review_is_asked_for_once_from_its_users_strictly_earlier_ones(seed, per_user, ties):
    reviews = corpus(per_user, seed, ties)
    found = built(reviews, seed=seed)
    assert Counter(context.sample.target for _, context in found) == Counter(review.id for review in reviews)
    for template, context in found:
        history = [entry.review for entry in context.entries]
        assert all(past.user == context.sample.user for past in history)
        assert all(past.moment < context.sample.moment for past in history)
        assert [past.moment for past in history] == sorted((past.moment for past in history), reverse=True)
        assert len(history) <= 8
        assert template in ("nonpersonalized", "rag", "dep")
        assert not (template == "nonpersonalized" and history)


def test_formats_come_in_their_shares():
    reviews = corpus([400])
    config = DocumentConfig(shares={"rag": 3.0, "dep": 1.0})
    counts = Counter(template for template, _ in built(reviews, config))
    assert counts["nonpersonalized"] == 1  # nothing is earlier than the first review
    assert counts["rag"] / counts["dep"] == pytest.approx(3, rel=0.3)


def test_histories_are_of_every_length():
    lengths = Counter(len(context.entries) for template, context in built(corpus([300])) if template == "rag")
    assert set(lengths) == set(range(1, 9))


def test_nothing_but_the_given_text_occurs(tiny_tokenizer):
    reviews = [review for review in corpus() if review.id != "u2-3"]
    texts = list(tokenizer_texts(reviews, ITEMS, DocumentConfig(), np.random.default_rng(0)))
    assert len(texts) == len(reviews)
    whole = "\n".join(texts)
    assert "u2-3" not in whole
    assert all(review.text.strip() in whole for review in reviews)


def test_an_unknown_item_is_shown_by_its_id(tiny_tokenizer):
    found = [context.item for _, context in built(corpus()) if context.sample.item == "i5"]
    assert found
    assert {item.title or item.id for item in found} == {"i5"}


def test_the_same_seed_makes_the_same_documents(tiny_tokenizer):
    encoder = PromptTokenizer(tiny_tokenizer, max_tokens=900)

    def made(seed):
        rng = np.random.default_rng(seed)
        return [doc.ids.tolist() for doc in documents(corpus(), ITEMS, encoder, DocumentConfig(), rng, max_tokens=1000)]

    assert made(1) == made(1)
    assert made(1) != made(2)


def test_a_document_is_the_methods_own_prompt_and_then_the_review(tiny_tokenizer):
    encoder, reviews = PromptTokenizer(tiny_tokenizer, max_tokens=900), corpus()
    rng = np.random.default_rng(0)
    docs = list(documents(reviews, ITEMS, encoder, DocumentConfig(), rng, max_tokens=1000))
    for doc, (template, context) in zip(docs, built(reviews), strict=True):
        assert doc.ids[: doc.prompt_length].tolist() == encoder.encode(render(template, context)).ids.tolist()
        assert encoder.decode(doc.ids[doc.prompt_length :]) == context.sample.reference.strip()
        assert doc.ids[-1] == encoder.end_id


@settings(max_examples=15, deadline=None)
@given(max_tokens=st.integers(520, 900), share=st.floats(0.6, 0.95))
def test_a_document_is_never_longer_than_allowed_and_keeps_its_prompt_whole(tiny_tokenizer, max_tokens, share):
    encoder = PromptTokenizer(tiny_tokenizer, max_tokens=int(share * max_tokens))
    rng = np.random.default_rng(0)
    for doc in documents(corpus(), ITEMS, encoder, DocumentConfig(), rng, max_tokens=max_tokens):
        assert len(doc.ids) <= max_tokens
        assert doc.prompt_length <= encoder.max_tokens
        assert tiny_tokenizer.decode(doc.ids[: doc.prompt_length]).endswith("<|im_start|>assistant\n")
