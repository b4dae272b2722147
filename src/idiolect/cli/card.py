"""A card on the terminal: styles where there is a terminal, plain lines where there is none."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from idiolect.errors import visible
from idiolect.experiments.explain.card import Card
from idiolect.experiments.explain.layout import Line, lines

_INDENT = {"claim": 1, "figures": 4, "quote": 4, "rejected": 1}
_SPACED = ("verdict", "heading", "claim")
"""Parts with an empty line before."""


def print_card(card: Card, console: Console | None = None) -> None:
    """Print a card, wrapped to a terminal's width; piped, one line each and no colours.

    Args:
        card: What to print.
        console: Where; None: standard output.
    """
    console = console or Console(highlight=False)
    before, number = "", 0
    for line in lines(card):
        number = 0 if line.part == "heading" else number + (line.part == "claim")
        if line.part in _SPACED or (line.part == "note" and before not in ("title", "")):
            console.print()
        text = _styled(line, number)
        if console.is_terminal:
            console.print(Padding(text, (0, 0, 0, _INDENT.get(line.part, 0))))
        else:
            console.print(" " * _INDENT.get(line.part, 0) + text.plain, markup=False, soft_wrap=True)
        before = line.part


def _styled(line: Line, number: int) -> Text:
    """Text of users is appended, never parsed, so that it can be no markup; and a terminal obeys none of it."""
    line = line._replace(text=visible(line.text), aside=visible(line.aside))
    if line.part == "claim":
        return Text.assemble((f"{number}. ", "dim"), (line.text, "bold"), (f"  {line.aside}", "cyan"))
    if line.part == "quote":
        return Text.assemble((f"“{line.text}”", "italic green"), (f"  {line.aside}", "dim"))
    if line.part == "rejected":
        return Text.assemble((f"- {line.text}", ""), (f"  {line.aside}", "dim"))
    return Text(
        line.text, style={"title": "bold", "verdict": "bold cyan", "heading": "underline"}.get(line.part, "dim")
    )
