"""Sentences to text: joined or apart, in paragraphs or one block."""

from __future__ import annotations

import re
from dataclasses import dataclass

from idiolect.sandbox.draw import Draw
from idiolect.sandbox.gaps import capital
from idiolect.sandbox.traits import Scores

_JOINTS = (", and ", ", while ", "; ")

_BREAK = re.compile(r"\n[\n ]*")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A clause that starts in lower case, and its end mark."""

    clause: str
    mark: str = "."
    joins: bool = False
    """States something that "and" and "while" may connect with what stands before."""
    block: bool = False
    """Stands on lines of its own."""

    @property
    def words(self) -> int:
        """Number of words."""
        return self.clause.count(" ") + 1


def lay_out(draw: Draw, sentences: list[Sentence], scores: Scores, parting: str) -> str:
    """The text of a review; a parting line, if any, stands last."""
    parts: list[str] = []
    joinable = False
    for sentence in sentences:
        joins = sentence.mark == "." and ":" not in sentence.clause
        if joins and joinable and draw.chance(0.8 * scores.long_sentences):
            joint = draw.pick(_JOINTS) if sentence.joins else "; "
            parts[-1] = f"{parts[-1][:-1]}{joint}{sentence.clause}."
            joinable = False
        elif sentence.block:
            parts.append(f"\n{sentence.clause}\n")
            joinable = False
        else:
            gap = "\n\n" if parts and draw.chance(0.7 * scores.paragraphs) else " "
            parts.append(f"{gap}{capital(sentence.clause)}{sentence.mark}")
            joinable = joins
    if parting:
        gap = "\n\n" if draw.chance(scores.paragraphs) else " "
        parts.append(f"{gap}{parting}")
    return _BREAK.sub(lambda found: "\n\n" if found[0].count("\n") > 1 else "\n", "".join(parts)).strip()
