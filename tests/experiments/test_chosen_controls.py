"""The nearest twin, the item crowd and the oracle: who stands in, and with what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.config import merge
from idiolect.context import Context, ContextBuilder, ContextConfig, Entry
from idiolect.encoders import load_encoder
from idiolect.errors import ConfigError, InputError
from idiolect.evaluation.conditions import conditions
from idiolect.evaluation.runner import run_evaluate
from idiolect.llm.registry import BackboneConfig
from idiolect.llm.transformers import TransformersLLM
from idiolect.methods.chosen_controls import EXTRA_CONTROLS, ItemCrowd, NearestTwin, Oracle, Twins
from idiolect.peers import InMemoryReviews
from idiolect.pipeline.data import Data
from idiolect.pipeline.models import Models
from idiolect.pipeline.settings import Settings
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Review, ReviewId, Sample, UserId

NEW = ItemId("new")


class Histories:
    """One entry per user: their difference, category, and the item they wrote about."""

    def __init__(self, people: dict[str, tuple[tuple[float, float], str, str]]) -> None:
        self.people = people

    def build(self, samples: Sequence[Sample]) -> list[Context]:
        return [self._context(sample) for sample in samples]

    def _context(self, sample: Sample) -> Context:
        item = Item(id=sample.item, category="books" if sample.item == NEW else "")
        if sample.user not in self.people:
            return Context(sample=sample, item=item, entries=())
        difference, category, about = self.people[sample.user]
        review = Review(id=ReviewId(f"of {sample.user}"), user=sample.user, item=ItemId(about), text=sample.user)
        vector = np.array(difference, np.float32)
        past = Item(id=review.item, category=category)
        entry = Entry(review=review, item=past, e_his=vector, e_diff=vector if vector.any() else None, n_peers=1)
        return Context(sample=sample, item=item, entries=(entry,))


def twin_of(histories: Histories, user: str, *others: Sample) -> str:
    twins = Twins(histories, lambda: list(histories.people), seed=0)
    return twins.of([*others, Sample(user=UserId(user), item=NEW)])[-1].user


directions = st.sampled_from([(1.0, 0.0), (1.0, 0.1), (0.0, 1.0), (-1.0, 0.0), (0.0, 0.0), (2.0, 0.0)])
crowds = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(directions, st.sampled_from(["books", "beers"]), st.sampled_from(["past", NEW])),
    min_size=2,
)


@settings(max_examples=80, deadline=None)
@given(crowds, st.data())
def test_a_twin_is_never_the_user_and_no_other_user_of_the_category_is_nearer(people, data) -> None:
    user = data.draw(st.sampled_from(sorted(people)))
    twin = twin_of(Histories(people), user)
    assert twin != user

    def cosine(other: str) -> float:
        a, b = (np.array(people[one][0]) for one in (user, other))
        return round(float(a @ b) / (np.linalg.norm(a) * np.linalg.norm(b) or 1), 6)

    usable = [one for one in people if one != user and people[one][1] == "books" and people[one][2] != NEW]
    among = usable or [one for one in people if one != user]
    assert twin == min(among, key=lambda one: (-cosine(one), one)), "nearest, then the first by id"


def test_a_twin_does_not_depend_on_what_is_asked_together() -> None:
    people = {name: ((1.0, 0.1 * k), "books", "past") for k, name in enumerate("abcdef")}
    alone = twin_of(Histories(people), "c")
    assert alone == twin_of(Histories(people), "c", *[Sample(user=UserId(name), item=NEW) for name in "fab"])


def test_a_user_without_history_gets_a_twin_and_one_user_alone_has_none() -> None:
    assert twin_of(Histories({"a": ((1.0, 0.0), "books", "past")}), "stranger") == "a"
    with pytest.raises(InputError, match="another user with history"):
        twin_of(Histories({"a": ((1.0, 0.0), "books", "past")}), "a")


def test_a_twin_lends_everything_but_the_item() -> None:
    histories = Histories({name: ((1.0, 0.0), "books", "past") for name in "ab"})
    sample = Sample(user=UserId("a"), item=NEW, rating=4.0, reference="own", target=ReviewId("t"))
    (wrong,) = NearestTwin(histories, Twins(histories, lambda: ["a", "b"], seed=0)).build([sample])
    assert wrong.sample == sample
    assert [entry.review.user for entry in wrong.entries] == ["b"]


@pytest.fixture
def reviews() -> tuple[InMemoryReviews, ContextBuilder]:
    """Ann wrote about two items; bob, cid and dan about the new one, bob twice."""
    rows = [("ann", "i1"), ("ann", "i2"), ("bob", "i1"), ("bob", NEW), ("cid", NEW), ("bob", NEW), ("dan", NEW)]
    texts = [
        Review(id=ReviewId(f"r{k}"), user=UserId(user), item=ItemId(item), text=f"{user} {k}", timestamp=k)
        for k, (user, item) in enumerate(rows)
    ]
    vectors = {one.id: np.eye(8)[k] for k, one in enumerate(texts)}
    reader = InMemoryReviews([Item(id=NEW)], texts, vectors, encoder="unit")
    return reader, ContextBuilder(reader, ContextConfig(k=2), encoder="unit")


SAMPLE = Sample(user=UserId("ann"), item=NEW, timestamp=9, target=ReviewId("t"), reference="what ann wrote")


def test_the_crowd_is_the_newest_text_of_every_other_user_about_the_item(reviews) -> None:
    _, builder = reviews
    (crowd,) = ItemCrowd(builder, builder).build([SAMPLE])
    assert [entry.review.text for entry in crowd.entries] == ["dan 6", "bob 5"], "as many as ann's own"
    assert all(entry.item.id == NEW for entry in crowd.entries)
    expected = np.eye(8)[6] - np.mean([np.eye(8)[k] for k in (3, 4, 5)], axis=0)
    np.testing.assert_allclose(crowd.entries[0].e_diff, expected, atol=1e-6)


def test_without_others_on_the_item_the_crowd_is_empty(reviews) -> None:
    _, builder = reviews
    (crowd,) = ItemCrowd(builder, builder).build([Sample(user=UserId("ann"), item=ItemId("unknown"))])
    assert crowd.entries == ()


class Unit:
    name, dim = "unit", 8

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
        return np.stack([np.eye(8, dtype=np.float32)[7] for _ in texts])


def test_the_oracle_holds_the_targets_vectors_in_the_users_own_tokens(reviews) -> None:
    _, builder = reviews
    (right,), (told,) = builder.build([SAMPLE]), Oracle(builder, builder, Unit()).build([SAMPLE])
    assert [entry.review for entry in told.entries] == [entry.review for entry in right.entries]
    assert all(entry.e_his.tolist() == np.eye(8)[7].tolist() for entry in told.entries)
    assert [entry.e_diff is None for entry in told.entries] == [entry.e_diff is None for entry in right.entries]
    compared = next(entry.e_diff for entry in told.entries if entry.e_diff is not None)
    expected = np.eye(8)[7] - np.mean([np.eye(8)[k] for k in (3, 4, 5, 6)], axis=0)
    np.testing.assert_allclose(compared, expected, atol=1e-6)
    with pytest.raises(InputError, match="users' own texts"):
        Oracle(builder, builder, Unit()).build([Sample(user=UserId("ann"), item=NEW)])


def test_every_method_runs_those_that_it_declares_and_the_settings_ask_for(job: Any, adapter: Path) -> None:
    asked = Settings.model_validate(merge(job.settings, {"extra_controls": list(EXTRA_CONTROLS)}))
    with SqlStore(job.store, create=False) as store:
        data = Data(store, job.split, asked, encoder=load_encoder("hash:48"))
        llm = TransformersLLM.load(BackboneConfig(model=str(job.backbone)))
        with Models(llm, asked.sampling) as models:
            found = [one.id for one in conditions(data, models, adapter)]
    extra = {name: [one.control for one in found if one.method == name and one.control in EXTRA_CONTROLS.values()]
             for name in ("nonpersonalized", "rag", "pag", "dpl", "drp", "dep")}  # fmt: skip
    assert extra == {
        "nonpersonalized": [],
        "rag": ["nearest twin", "item crowd"],
        "pag": ["nearest twin", "item crowd"],
        "dpl": ["nearest twin"],
        "drp": ["nearest twin"],
        "dep": ["nearest twin", "item crowd", "oracle"],
    }


def test_an_evaluation_continued_with_them_adds_their_rows_and_verdicts(job: Any, tmp_path: Path) -> None:
    for chosen in ([], ["nearest_twin", "item_crowd"]):
        changes = {**job.settings, "methods": ["drp"], "extra_controls": chosen}
        found = run_evaluate(job.store, job.split, tmp_path / "out", changes=changes, backbone=str(job.backbone))
    record = json.loads((tmp_path / "out" / "results.json").read_text())
    names = [row["control"] for row in record["tables"]["controls of rag"]["methods"]]
    assert names == [None, "wrong user", "nearest twin", "item crowd"]
    told = {(one["method"]["method"], one["source"]) for one in record["verdicts"]}
    assert told == {("rag", "user"), ("rag", "twin"), ("rag", "item"), ("drp", "user"), ("drp", "twin")}
    assert "rag: nearest twin" in found.report.read_text()


def test_a_misspelt_control_is_named_and_shuffled_vectors_have_none() -> None:
    with pytest.raises(ValueError, match="unknown extra control 'twin'"):
        Settings.model_validate({"extra_controls": ["twin"]})
    with pytest.raises(ValueError, match="extra_controls are held against"):
        Settings.model_validate({"extra_controls": ["oracle"], "vectors": "his_twice", "controls": []})
    bare = ContextBuilder(InMemoryReviews([], [], {}, encoder="unit"), ContextConfig(), encoder=None)
    with pytest.raises(ConfigError, match="need vectors"):
        ItemCrowd(bare, bare)
