from __future__ import annotations

import logging
from pathlib import Path

import pytest

from idiolect.errors import NotFoundError
from idiolect.metrics import meteor as wordnet
from idiolect.metrics.meteor import SYSTEM_FOLDER, VARIABLE, Meteor, find_wordnet

needs_wordnet = pytest.mark.skipif(
    not (SYSTEM_FOLDER / "data.noun").is_file(), reason=f"no WordNet in {SYSTEM_FOLDER} (apt install wordnet-base)"
)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any WordNet."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(wordnet, "SYSTEM_FOLDER", tmp_path)
    monkeypatch.setattr(wordnet, "_nltk_has_wordnet", lambda: False)


@needs_wordnet
def test_a_system_folder_is_read_as_it_is() -> None:
    found = find_wordnet(SYSTEM_FOLDER)
    assert {"car", "auto", "automobile"} <= {lemma.name() for lemma in found.synsets("car")[0].lemmas()}
    assert found.synsets("qwertzuiop") == []
    assert found.label == "3.0-system"


@needs_wordnet
def test_inflected_words_find_their_base() -> None:
    names = {synset.name() for synset in find_wordnet(SYSTEM_FOLDER).synsets("geese")}
    assert "goose.n.01" in names


@needs_wordnet
def test_a_folder_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_wordnet(SYSTEM_FOLDER) is find_wordnet(SYSTEM_FOLDER)
    monkeypatch.setenv(VARIABLE, str(SYSTEM_FOLDER))
    assert find_wordnet() is find_wordnet(SYSTEM_FOLDER)


@needs_wordnet
@pytest.mark.usefixtures("nowhere")
def test_the_system_folder_is_found_without_being_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordnet, "SYSTEM_FOLDER", SYSTEM_FOLDER)
    assert find_wordnet().label == "3.0-system"


def test_a_named_folder_without_wordnet_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFoundError, match="no WordNet in"):
        find_wordnet(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "missing"))
    with pytest.raises(NotFoundError, match="missing"):
        find_wordnet()


@pytest.mark.usefixtures("nowhere")
def test_without_wordnet_the_log_and_the_signature_say_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        metric = Meteor()
    assert "no WordNet" in caplog.text
    assert "|wordnet:none|" in str(metric.signature())


@pytest.mark.usefixtures("nowhere")
def test_without_wordnet_words_and_stems_still_match() -> None:
    metric = Meteor()
    identical, stem, synonym = metric.segments(["a b c", "running fast", "car"], ["a b c", "run fast", "auto"])[:, 0]
    assert identical == pytest.approx(1 - 0.5 / 3**3)  # one chunk of three words
    assert stem == pytest.approx(1 - 0.5 / 2**3)
    assert synonym == 0
