"""What users correct or mute is kept, undone and erased; a review and its vectors are one transaction."""

from dataclasses import replace

import numpy as np
import pytest

from idiolect.errors import InputError, NotFoundError
from idiolect.store.base import Correction
from idiolect.store.sql import SqlStore
from idiolect.types import Review

REVIEW = Review(id="r", user="ann", item="tea", text="Mild.")


@pytest.fixture
def store(tmp_path):
    with SqlStore(tmp_path / "store.db") as opened:
        yield opened


def test_a_correction_replaces_an_earlier_one_and_is_undone(store):
    store.add([], [REVIEW, replace(REVIEW, id="r2", user="bob")])
    store.correct("ann", Correction(difference="length"))
    store.correct("ann", Correction(difference="length", text="I write long texts about books only."))
    store.correct("bob", Correction(difference="length"))
    assert [(one.state, one.text) for one in store.corrections("ann")] == [
        ("corrected", "I write long texts about books only.")
    ]
    assert store.undo_correction("ann", "length")
    assert not store.undo_correction("ann", "length")
    assert store.corrections("ann") == []
    assert [one.state for one in store.corrections("bob")] == ["muted"]


def test_an_erasure_takes_corrections_too(store):
    store.add([], [REVIEW])
    store.correct("ann", Correction(difference="length", text="A secret statement."))
    store.forget("ann")
    assert store.corrections("ann") == []
    with pytest.raises(NotFoundError):
        store.correct("ann", Correction(difference="length", text="A secret statement."))
    assert store.corrections("ann") == []


def test_a_review_and_its_vectors_are_stored_together_or_not_at_all(store):
    with pytest.raises(InputError):
        store.add([], [REVIEW], {"e": np.array([[2.0, 0.0]])})
    assert store.counts().reviews == 0
    store.add([], [REVIEW], {"e": np.array([[1.0, 0.0]])})
    assert store.peer_sums(["tea"], exclude="bob", encoder="e").sums.tolist() == [[1.0, 0.0]]


def test_a_refused_review_leaves_its_vector_out(store):
    store.add([], [REVIEW])
    other = Review(id="r", user="bob", item="tea", text="Bitter.")
    report = store.add([], [other, Review(id="s", user="bob", item="tea", text="Sour.")], {"e": np.eye(2)})
    assert [id for id, _ in report.refused] == ["r"]
    assert store.vectors(["s"], encoder="e").tolist() == [[0.0, 1.0]]
    assert [finding.detail for finding in store.check() if not finding.ok] == []
