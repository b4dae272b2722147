"""Wrong users and wrong vectors: wrong in that, and in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.context import Context, Entry
from idiolect.errors import ArtifactError, InputError
from idiolect.evaluation.conditions import Condition
from idiolect.evaluation.runner import run_condition
from idiolect.llm.fake import FakeLLM
from idiolect.methods.controls import WRONG_USER, NoAdapter, OtherVectors, WrongUser, mismatched_users
from idiolect.methods.rag import RAG
from idiolect.prompts.rendering import PromptConfig
from idiolect.types import Item, ItemId, Review, ReviewId, Sample, UserId

DRAWS = 10


def context(user: str, value: float, *, peers: bool = True, category: str = "", about: str = "past") -> Context:
    item = Item(id=ItemId("new"), category=category)
    review = Review(id=ReviewId(user), user=UserId(user), item=ItemId(about), text=user)
    entry = Entry(
        review=review,
        item=Item(id=review.item),
        e_his=np.full(2, value, np.float32),
        e_diff=np.full(2, -value, np.float32) if peers else None,
        n_peers=int(peers),
    )
    return Context(sample=Sample(user=UserId(user), item=item.id), item=item, entries=(entry,))


class Fixed:
    def __init__(self, contexts: list[Context]) -> None:
        self.contexts = contexts

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        return self.contexts


OWN = [context("a", 1.0), context("b", 2.0), context("c", 3.0, peers=False)]
SAMPLES = [own.sample for own in OWN]


@pytest.mark.parametrize("seed", range(DRAWS))
def test_a_wrong_user_brings_text_and_vectors_of_somebody_else(seed: int) -> None:
    for wrong, right in zip(WrongUser(Fixed(OWN), seed=seed).build(SAMPLES), OWN, strict=True):
        assert wrong.sample == right.sample
        assert wrong.item == right.item
        assert wrong.entries[0].review.user != right.sample.user


@pytest.mark.parametrize("seed", range(DRAWS))
def test_other_vectors_leave_text_and_every_virtual_token_in_place(seed: int) -> None:
    for wrong, right in zip(OtherVectors(Fixed(OWN), seed=seed).build(SAMPLES), OWN, strict=True):
        entry, was = wrong.entries[0], right.entries[0]
        assert entry.review == was.review
        assert entry.e_his[0] != was.e_his[0]
        assert (entry.e_diff is None) == (was.e_diff is None)


people = st.lists(
    st.tuples(
        st.sampled_from("abcd"), st.sampled_from(["books", "beers"]), st.booleans(), st.sampled_from(["past", "new"])
    ),
    min_size=2,
    max_size=8,
).filter(lambda rows: len({user for user, _, peers, _ in rows if peers}) > 1)


@settings(max_examples=60, deadline=None)
@given(people, st.integers(0, 5))
def test_a_mismatched_user_is_another_one_and_of_the_same_category_if_there_is_one(rows, seed: int) -> None:
    own = [context(user, 1.0, category=kind, peers=peers, about=about) for user, kind, peers, about in rows]
    for (user, kind, _, _), donor in zip(rows, mismatched_users(own, seed), strict=True):
        assert rows[donor][0] != user
        assert rows[donor][2]
        if any(u != user and k == kind and peers and about == "past" for u, k, peers, about in rows):
            assert rows[donor][1] == kind
            assert rows[donor][3] == "past"


def test_who_stands_in_is_decided_by_the_seed() -> None:
    own = [context(f"u{k}", float(k)) for k in range(12)]
    np.testing.assert_array_equal(mismatched_users(own, 1), mismatched_users(own, 1))
    assert (mismatched_users(own, 1) != mismatched_users(own, 2)).any()


def test_one_user_alone_has_no_mismatched_user() -> None:
    with pytest.raises(InputError, match="two users"):
        mismatched_users([context("a", 1.0), context("a", 2.0)], 0)


def test_without_its_virtual_tokens_the_prompt_of_dep_is_that_of_rag() -> None:
    bare = NoAdapter(FakeLLM(), Fixed(OWN))
    texts = [[message.text for message in prompt.messages] for prompt in bare.prompts(SAMPLES)]
    assert texts == [[m.text for m in prompt.messages] for prompt in RAG(FakeLLM(), Fixed(OWN)).prompts(SAMPLES)]
    assert not any(prompt.virtual_tokens for prompt in bare.prompts(SAMPLES))


def test_without_text_and_virtual_tokens_it_says_what_was_reviewed_and_nothing_of_vectors() -> None:
    (prompt, *_) = NoAdapter(FakeLLM(), Fixed(OWN), prompt=PromptConfig(with_text=False)).prompts(SAMPLES)
    shown = "".join(message.text for message in prompt.messages)
    assert "Item: past" in shown
    assert not any(word in shown for word in ("Text:", "Voice", "Difference"))


def test_predictions_and_rows_of_a_control_name_it_next_to_the_method(tmp_path: Path) -> None:
    control = Condition(method=RAG(FakeLLM(), WrongUser(Fixed(OWN), seed=0)), control=WRONG_USER)
    assert [(one.method, one.control) for one in control.generate(SAMPLES)] == [("rag", "wrong user")] * 3
    for texts in (True, False):
        rows = run_condition(control, FakeLLM(), SAMPLES, tmp_path / str(texts), texts=texts)
        assert [(row["method"], row["control"]) for row in rows] == [("rag", "wrong user")] * 3
    for prompt, own in zip(control.method.prompts(SAMPLES), OWN, strict=True):
        assert f"Text: {own.sample.user}" not in prompt.messages[1].text


def test_outputs_of_another_condition_under_the_same_file_name_are_refused(tmp_path: Path) -> None:
    run_condition(Condition(method=RAG(FakeLLM(), Fixed(OWN))), FakeLLM(), SAMPLES, tmp_path, texts=True)
    path = tmp_path / "samples" / "rag.jsonl"
    own = path.rename(path.with_name("rag-wrong-user.jsonl"))
    control = Condition(method=RAG(FakeLLM(), WrongUser(Fixed(OWN), seed=0)), control=WRONG_USER)
    with pytest.raises(ArtifactError, match="another condition, or of an earlier version"):
        run_condition(control, FakeLLM(), SAMPLES, tmp_path, texts=True)
    assert own.is_file()
