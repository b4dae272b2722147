"""What a user muted reaches no method: neither in vectors nor, if possible, in past texts; undone, all is as before."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from idiolect.context import ContextBuilder, ContextConfig
from idiolect.difference.concept_erasure import fit_erasure
from idiolect.difference.stylometry import NAMES
from idiolect.encoders import load_encoder
from idiolect.llm.fake import FakeLLM
from idiolect.methods.dep import DEP
from idiolect.methods.muting import Gets, Muting
from idiolect.methods.pplug import PPlug
from idiolect.methods.rag import RAG
from idiolect.peers import InMemoryReviews
from idiolect.prompts.rendering import PromptConfig
from idiolect.store.base import Correction
from idiolect.types import Item, Review, Sample

EXCLAMATIONS = NAMES.index("exclamations")
SAMPLE = Sample(user="u0", item="i9")
UNMEASURED = "shoe_size"
"""A correction of a measure that an earlier version had."""
MUTED = [Correction(difference="exclamations")]


class Users(InMemoryReviews):
    """A reader that lists its users."""

    def peers(self):
        return sorted({review.user for review in self._reviews})


def text_of(user, k):
    """``u0`` shouts, but in the reviews of i2 and i5; the others do so now and then."""
    mark = "!" if (k not in (2, 5) if user == 0 else (user + k) % 4 == 0) else "."
    is_ = "it's" if (user + k) % 3 else "it is"
    return f"Well, the i{k} is fine{mark} I say {is_} what it should be, and I had it {user + k} times{mark}"


@pytest.fixture(scope="module")
def reader():
    encoder = load_encoder("style")
    reviews = [
        Review(id=f"{u}-{k}", user=f"u{u}", item=f"i{k}", order=k, text=text_of(u, k))
        for u in range(8)
        for k in range(8)
    ]
    vectors = dict(zip((r.id for r in reviews), encoder.encode([r.text for r in reviews]), strict=True))
    items = [Item(id=f"i{k}", title=f"Item {k}") for k in range(10)]
    return Users(items, reviews, vectors, encoder=encoder.name)


@pytest.fixture
def contexts(reader):
    """Contexts with what ``corrections`` mute kept out of vectors, texts or both, and the note."""

    def make(corrections=(), *, vectors=True, texts=False, past=0, k=4, words=False):
        name = reader._encoder if vectors else None
        muting = Muting(
            corrections,
            reader.profile(SAMPLE.user),
            Gets(vectors=vectors, texts=texts, words=words),
            lambda: fit_erasure(reader, name),
        )
        builder = ContextBuilder(reader, ContextConfig(k=k), encoder=name, past=past)
        return muting.applied(builder), muting.notes

    return make


class Noted:
    """An adapter that notes what it reads."""

    config = SimpleNamespace(past_texts=0, input_encoder="encoder", d_in=len(NAMES))

    def soft_prompt_embeddings(self, vectors, stream, entry):
        self.vectors, self.stream = vectors, stream
        return np.zeros((len(vectors), 4), dtype=np.float32)

    def embeddings(self, inputs):
        self.vectors = np.concatenate([one.history for one in inputs])
        return [np.zeros((len(one.stream), 4), dtype=np.float32) for one in inputs]


def read(method, contexts):
    """What an adapter of the method reads of the user."""
    adapter = Noted()
    method(FakeLLM(), contexts, adapter, prompt=PromptConfig(with_text=False)).prompts([SAMPLE])
    return adapter


def test_dep_reads_vectors_without_what_is_muted(contexts, reader):
    before, after = read(DEP, contexts()[0]), read(DEP, contexts(MUTED)[0])
    assert after.vectors.dtype == np.float32
    erasure = fit_erasure(reader, reader._encoder)
    for stream, mean in ((0, erasure.mean[EXCLAMATIONS]), (1, 0)):
        rows = before.stream == stream
        assert abs(before.vectors[rows, EXCLAMATIONS] - mean).max() > 0.2
        assert abs(after.vectors[rows, EXCLAMATIONS] - mean).max() < 0.03
    others = np.arange(len(NAMES)) != EXCLAMATIONS
    kept = (before.vectors[:, others] * after.vectors[:, others]).sum() / np.square(before.vectors[:, others]).sum()
    assert kept > 0.8
    assert read(DEP, contexts()[0]).vectors.tobytes() == before.vectors.tobytes()


def test_pplug_reads_a_whole_history_without_it(contexts, reader):
    before, after = read(PPlug, contexts(past=512)[0]), read(PPlug, contexts(MUTED, past=512)[0])
    assert before.vectors.shape == after.vectors.shape == (8, len(NAMES))
    assert before.vectors[:, EXCLAMATIONS].std() > 0.1
    assert after.vectors[:, EXCLAMATIONS].std() < 0.01


def test_rag_shows_past_texts_without_it(contexts):
    def shown(*how, **more):
        made, notes = contexts(*how, vectors=False, texts=True, **more)
        return RAG(FakeLLM(), made).generate([SAMPLE])[0].anchors, notes

    assert shown() == (("0-7", "0-6", "0-5", "0-4"), ())
    assert shown(MUTED, k=2) == (("0-5", "0-2"), ("muted: exclamations; past texts that show it least come first",))
    assert shown(MUTED)[0][:2] == ("0-5", "0-2")
    assert len(shown(MUTED)[0]) == 4
    assert len(shown(MUTED, k=0)[0]) == 8


def test_what_is_corrected_is_removed_too_and_several_together(contexts):
    said = [Correction(difference="exclamations", text="Only about jam."), Correction(difference="contractions")]
    (made, notes), places = contexts(said, words=True), [EXCLAMATIONS, NAMES.index("contractions")]
    assert notes == ("corrected: exclamations; muted: contractions; left out of the profile; removed from the vectors",)
    assert np.ptp(read(DEP, made).vectors[::2, places], axis=0).max() < 0.03


def test_a_note_says_what_stays_in_the_vectors_and_why(contexts, reader):
    rare, unmeasured = Correction(difference="headings"), Correction(difference=UNMEASURED)
    made, (note,) = contexts([rare])
    assert note == "muted: headings; headings stays in the vectors: no measure of it varies with them"
    assert (read(DEP, made).vectors == read(DEP, contexts()[0]).vectors).all()
    assert contexts([*MUTED, rare])[1] == (
        "muted: exclamations, headings; removed from the vectors; headings stays in the vectors: no measure of it "
        "varies with them",
    )
    assert contexts([unmeasured])[1] == (f"muted: {UNMEASURED}; it stays in the vectors: nothing measures it",)
    assert contexts([unmeasured], vectors=False, words=True)[1] == (f"muted: {UNMEASURED}; left out of the profile",)


def test_nothing_is_removed_where_nothing_is_measured(reader):
    builder = ContextBuilder(reader, ContextConfig(k=2), encoder=reader._encoder)
    german = [Review(id="g", user="g", item="i1", text="Die Suppe war nicht so gut, aber das ist mir egal.")]

    def refuse():
        raise AssertionError("fitted for nothing")

    gets = Gets(vectors=True, texts=True, words=False)
    muting = Muting(MUTED, german, gets, refuse)
    assert muting.applied(builder) is builder
    assert "the measures are of English texts, and the user has none" in muting.notes[0]
    few = Muting(MUTED, reader.profile("u1"), gets, lambda: None)
    assert few.applied(builder) is builder
    assert "fewer than 30 English reviews" in few.notes[0]
    assert Muting([], reader.profile("u1"), gets, refuse).applied(builder) is builder
