"""A card as Markdown."""

from __future__ import annotations

import re

from idiolect.experiments.explain.card import Card
from idiolect.experiments.explain.layout import Line, lines

_LISTED = ("claim", "figures", "quote", "rejected")
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~])")


def to_markdown(card: Card) -> str:
    """The card as a page; what users wrote is escaped, so that it can be no markup."""
    page, before, number = "", "", 0
    for line in lines(card):
        number = 0 if line.part == "heading" else number + (line.part == "claim")
        page += ("\n" if line.part in _LISTED and before in _LISTED else "\n\n" if page else "") + _drawn(line, number)
        before = line.part
    return f"{page}\n"


def escape(text: str) -> str:
    """Text without markup, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _drawn(line: Line, number: int) -> str:
    text, aside = escape(line.text), escape(line.aside)
    drawn = {
        "title": f"# {text}",
        "note": text,
        "verdict": f"**{text}**",
        "heading": f"## {text}",
        "claim": f"{number}. **{text}** ({aside})",
        "figures": f"   - {text}",
        "quote": f"   - “{text}” ({aside})",
        "rejected": f"- {text}: {aside}",
    }
    return drawn[line.part]
