"""What of a text is its writer's running prose: mail quotations and signatures go, hard-wrapped lines are joined.

Measures count sentences, paragraphs and quotations. In a text that was wrapped at 70 or 80 columns a line break ends no
sentence, quoted lines are another writer's, and a signature or a disclaimer that recurs in many of a user's texts is
pasted, not written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

_QUOTED_LINE = re.compile(r"^[ \t]*>.*(?:\n|\Z)", re.MULTILINE)
_ATTRIBUTION = re.compile(r"^.{6,160}\b(?:wrote|writes|schrieb|a écrit|escribió) ?:[ \t]*\n(?=\s*>)", re.MULTILINE)
_SIGNATURE = re.compile(r"\n-- ?\n.{0,600}\Z", re.DOTALL)
"""After a line of two dashes (RFC 3676, section 4.3), at the end of a text."""

_WRAP_COLUMNS = 100
"""A text with a longer line was not wrapped by a program that wraps lines."""
_FULL_LINE = 44
"""Characters of a line that can have been broken at its end because it was full."""
_BROKEN = re.compile(rf"^.{{{_FULL_LINE},}}[\w,;]\n(?=[^\W\d_A-Z])", re.MULTILINE)
"""A full line that ends within a sentence."""
_LIST_ITEM = re.compile(r"[ \t]*(?:[-*•+–]|\d{1,2}[.)])[ \t]")

_RECURRING_SHARE, _RECURRING_TEXTS = 0.2, 3
_RECURRING_CHARS = 40
"""Shorter lines may be a user's way to sign off, which is style; disclaimers are longer."""


def prose(text: str) -> str:
    r"""A text without quoted lines and signature, its hard-wrapped lines joined.

    A text on one line is returned as it is. A text counts as hard-wrapped if at least two full lines end within a
    sentence and no line is longer than 100 characters.

    Args:
        text: As its user wrote it; line breaks are ``\n``.

    Example:
        >>> prose("> How was it?\nFine.\n-- \nAnn, sent from a phone")
        'Fine.'
    """
    if "\n" not in text:
        return text
    own = _SIGNATURE.sub("", _QUOTED_LINE.sub("", _ATTRIBUTION.sub("", text)))
    if not own.strip():
        return text  # nothing but quoted lines: all there is
    return _unwrapped(own) if _is_wrapped(own) else own


def quotes(text: str) -> bool:
    r"""Whether lines of a text quote somebody, as in mail and forums.

    Example:
        >>> quotes("> How was it?\nFine."), quotes("2 > 1, fine.")
        (True, False)
    """
    return _QUOTED_LINE.search(text) is not None


def _is_wrapped(text: str) -> bool:
    return len(_BROKEN.findall(text)) >= 2 and max(map(len, text.split("\n"))) <= _WRAP_COLUMNS


def _unwrapped(text: str) -> str:
    lines = text.split("\n")
    joined = [lines[0]]
    for before, line in pairwise(lines):
        if len(before) >= _FULL_LINE and line.strip() and not _LIST_ITEM.match(line):
            joined[-1] = f"{joined[-1].rstrip()} {line.lstrip()}"
        else:
            joined.append(line)
    return "\n".join(joined)


def recurring_lines(texts: Sequence[str]) -> frozenset[str]:
    """Long lines that a user pastes: the same in at least three texts and a fifth of those with several lines.

    Args:
        texts: All texts of one user.
    """
    several = [text for text in texts if "\n" in text.strip()]
    found = Counter(line for text in several for line in {line.strip() for line in text.split("\n")})
    least = max(_RECURRING_TEXTS, _RECURRING_SHARE * len(several))
    return frozenset(line for line, n in found.items() if n >= least and len(line) >= _RECURRING_CHARS)


def without_lines(text: str, lines: frozenset[str]) -> str:
    """A text without some of its lines; the text itself if nothing else is in it."""
    if not lines or "\n" not in text:
        return text
    kept = "\n".join(line for line in text.split("\n") if line.strip() not in lines)
    return kept.strip("\n") if kept.strip() else text
