from __future__ import annotations

import numpy as np
import pytest

from idiolect.encoders import HashEncoder
from idiolect.errors import ArtifactError, NotFoundError
from idiolect.store.embedding import embed_missing
from idiolect.store.sql import SqlStore
from idiolect.types import Review


@pytest.fixture
def bare(tmp_path, reviews):
    with SqlStore(tmp_path / "bare.db") as store:
        store.add([], reviews(100))
        yield store


class Recorder(HashEncoder):
    """Remembers the texts of each call, and can be interrupted at one."""

    def __init__(self, interrupt: int | None = None) -> None:
        super().__init__(16)
        self.calls: list[list[str]] = []
        self.interrupt = interrupt

    def encode(self, texts, *, batch_size=32):
        if len(self.calls) == self.interrupt:
            raise KeyboardInterrupt
        self.calls.append(list(texts))
        return super().encode(texts, batch_size=batch_size)


def test_every_text_gets_its_own_vector(bare):
    encoder = HashEncoder(16)
    report = embed_missing(bare, encoder, chunk=7)
    assert (report.embedded, report.known, report.encoder) == (100, 0, "hash-v2-16")
    frame = bare.review_frame()
    expected = encoder.encode(frame["text"].to_list()).astype(np.float16)
    np.testing.assert_array_equal(bare.vectors(frame["review_id"].to_list(), encoder=encoder.name), expected)
    assert report.per_second > 0


def test_texts_come_longest_first(bare):
    encoder = Recorder()
    embed_missing(bare, encoder, chunk=40)
    assert len(encoder.calls) == 3
    lengths = [len(text) for call in encoder.calls for text in call]
    assert lengths == sorted(lengths, reverse=True)


def test_an_encoder_that_is_not_what_it_says_is_refused(bare):
    class Wide(HashEncoder):
        dim = 15

    with pytest.raises(ArtifactError, match=r"shape \(\d+, 16\), not \(\d+, 15\)"):
        embed_missing(bare, Wide(16))
    assert bare.encoders() == {}


def test_equal_texts_are_encoded_once(tmp_path):
    texts = ["Great.", "A longer text.", "Great.", "Great.", "Other."]
    with SqlStore(tmp_path / "equal.db") as store:
        store.add([], [Review(id=str(k), user=f"u{k}", item="i", text=text) for k, text in enumerate(texts)])
        encoder = Recorder()
        assert embed_missing(store, encoder).embedded == 5
        assert sorted(encoder.calls[0]) == sorted(set(texts))
        expected = encoder.encode(texts).astype(np.float16)
        np.testing.assert_array_equal(store.vectors([str(k) for k in range(5)], encoder=encoder.name), expected)


def test_an_interrupted_run_keeps_its_chunks_and_a_second_run_goes_on(bare):
    with pytest.raises(KeyboardInterrupt):
        embed_missing(bare, Recorder(interrupt=2), chunk=30)
    assert bare.missing_vectors("hash-v2-16").height == 40
    report = embed_missing(bare, Recorder(), chunk=30)
    assert (report.embedded, report.known) == (40, 60)
    again = embed_missing(bare, Recorder(), chunk=30)
    assert (again.embedded, again.known, again.per_second) == (0, 100, 0)


def test_only_the_named_reviews_are_embedded(bare):
    report = embed_missing(bare, HashEncoder(16), ids=["r5", "r1", "r5"])
    assert (report.embedded, report.known) == (2, 0)
    assert bare.missing_vectors("hash-v2-16").height == 98
    with pytest.raises(NotFoundError, match="r999"):
        embed_missing(bare, HashEncoder(16), ids=["r999"])


def test_progress_is_shown_when_asked_for(bare, capsys, monkeypatch):
    monkeypatch.setattr("idiolect.progress.INTERVAL_S", 0.0)
    embed_missing(bare, HashEncoder(16), ids=["r1"])
    assert capsys.readouterr().err == ""
    embed_missing(bare, HashEncoder(16), progress=True)
    assert capsys.readouterr().err.startswith("embed: ")
