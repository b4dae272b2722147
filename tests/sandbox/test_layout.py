from __future__ import annotations

import pytest

from idiolect.sandbox.traits import NAMES, Draw, Scores, stream
from idiolect.sandbox.writer import Sentence, lay_out

NONE = Scores(*[0.0] * len(NAMES))


def _text(sentences: list[Sentence], scores: Scores = NONE, parting: str = "") -> str:
    return lay_out(Draw(stream(0)), sentences, scores, parting)


def test_sentences_are_capitalised_and_marked():
    assert (
        _text([Sentence("one"), Sentence("two", "!"), Sentence('"three"')], parting="Bye.") == 'One. Two! "Three". Bye.'
    )


def test_a_block_stands_on_lines_of_its_own():
    block = Sentence("Pros:\n- wit", mark="", block=True)
    assert _text([Sentence("one"), block, Sentence("two")]) == "One.\nPros:\n- wit\nTwo."


def test_long_sentences_join_statements_but_not_questions():
    text = _text([Sentence("one", joins=True), Sentence("two", joins=True)], NONE._replace(long_sentences=1.25))
    assert text in {f"One{joint}two." for joint in (", and ", ", while ", "; ")}
    assert _text([Sentence("one"), Sentence("two?", "")], NONE._replace(long_sentences=1.25)) == "One. Two?"


@pytest.mark.parametrize("block", [True, False])
def test_paragraphs_are_parted_by_one_empty_line(block):
    sentences = [Sentence("one"), Sentence("two", block=block, mark=""), Sentence("three")]
    text = _text(sentences, NONE._replace(paragraphs=1.5), parting="Bye.")
    assert "\n\n\n" not in text
    assert text.endswith("\n\nBye.")
