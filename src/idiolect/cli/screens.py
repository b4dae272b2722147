"""Rich output: a user's card, and the demo's last screen."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from idiolect.errors import visible
from idiolect.explain.layout import INDENT, Card, Line, numbered, plain_line
from idiolect.methods.base import METHODS, Requirements, requirements

if TYPE_CHECKING:
    from idiolect.experiments.demo import Example, Gain, ItemTexts
    from idiolect.experiments.study.probes import Point

_STYLES = {"title": "bold", "verdict": "bold cyan", "heading": "underline"}
_NARROWEST = 36
"""Minimum width of a text that is shown next to others."""
_MOST_CLAIMS = 3
"""Claims of the card on the demo's screen; ``idiolect explain`` prints all of them."""
_LEGEND = (
    "Gain: how much likelier the users' own texts become than under Non-Perso, with a 95 % interval over users. "
    "Personal: the gain is lost with another user's history."
)
_INPUTS = {
    "e_his": "their own reviews",
    "e_diff": "differences from others on the same items",
    "shuffled": "differences from others on wrong items",
}
_RECOVERED = (
    "A linear rule that is learned from other users predicts a user's habits from vectors of style. 0: no better than "
    "taking everybody for the average user; 1: exact. Mean over all habits, with a 95 % interval over users."
)
_BEST = 4
"""Habits named as the best recovered."""
_GAINED = {"holds": "yes", "fails": "no", "undecided": "open", "no gain": "no gain"}


def print_card(card: Card, console: Console | None = None) -> None:
    """Print a card, wrapped to a terminal's width; piped, one line per entry and no colours.

    Args:
        card: What to print.
        console: None: standard output.
    """
    console = console or Console(highlight=False)
    for line, number, spaced in numbered(card):
        if spaced:
            console.print()
        indent = INDENT.get(line.part, 0)
        if console.is_terminal:
            console.print(Padding(_styled(line, number), (0, 0, 0, indent)))
        else:
            console.print(" " * indent + plain_line(line, number), markup=False, soft_wrap=True)


def _styled(line: Line, number: int) -> Text:
    """Text of users is appended, never parsed, so that it can be no markup; control characters are escaped."""
    text, aside = visible(line.text), visible(line.aside)
    if line.part == "claim":
        return Text.assemble((f"{number}. ", "dim"), (text, "bold"), (f"  {aside}", "cyan"))
    if line.part == "quote":
        return Text.assemble((f"“{text}”", "italic green"), (f"  {aside}", "dim"))
    if line.part == "rejected":
        return Text.assemble((f"- {text}", ""), (f"  {aside}", "dim"))
    return Text(text, style=_STYLES.get(line.part, "dim"))


def print_demo(
    example: Example,
    gains: Sequence[Gain],
    console: Console | None = None,
    *,
    recovery: Point | None = None,
    store: Path | None = None,
) -> None:
    """Print the demo's last screen: one user's card, generated texts next to the user's own, gains per method.

    Args:
        example: The user and the texts.
        gains: One per method; empty where no model was run.
        console: None: standard output. Texts are shown in as many columns as fit.
        recovery: How much of the true habits vectors hold; None: it is left out.
        store: The user's store, named in the command that prints the whole card; None: the default store.
    """
    console = console or Console(highlight=False)
    for part in demo_parts(example, gains, console.width, recovery, store):
        console.print(part)


def demo_parts(
    example: Example, gains: Sequence[Gain], width: int, recovery: Point | None = None, store: Path | None = None
) -> Iterator[RenderableType]:
    """The screen, part by part, for a terminal of ``width`` columns."""
    yield from _card(example.card, store)
    if example.truth:
        yield Text()
        yield _heading(f"What the world made {example.card.user} do, compared with others (strongest first)")
        yield Text("; ".join(example.truth))
    if recovery:
        yield from _recovered(recovery)
    for item in example.items:
        yield Text()
        yield _heading(f"{item.title}{_rated(item)}: the user's own text, and what methods wrote")
        yield _texts(item, width)
    if gains:
        yield Text()
        yield _heading("What each method gains")
        yield _table(gains)
        yield Text(_LEGEND, style="dim")
        yield Text()
        yield Text(what_is_personal(gains))


def _recovered(recovery: Point) -> Iterator[RenderableType]:
    yield Text()
    yield _heading(f"How much of the true habits of {recovery.users} users shows in {recovery.anchors} reviews of each")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("predicted from", overflow="fold")
    table.add_column("R2", justify="right", no_wrap=True)
    for name, words in _INPUTS.items():
        score = recovery.scores[name]
        table.add_row(words, f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]")
    gap = recovery.gaps["e_diff - e_his"]
    table.add_row("gain of the second over the first", f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]")
    yield table
    yield Text(_RECOVERED, style="dim")
    traits = recovery.traits["e_diff"]
    best = sorted(traits, key=lambda name: traits[name].value, reverse=True)[:_BEST]
    named = ", ".join(f"{name.replace('_', ' ')} {traits[name].value:.2f}" for name in best)
    yield Text(f"Predicted best from differences: {named}.")


def _card(card: Card, store: Path | None) -> Iterator[Text | Padding]:
    left = len(card.measured) - _MOST_CLAIMS
    short = replace(card, measured=card.measured[:_MOST_CLAIMS], model_claims=(), rejected=(), n_measures=0)
    for line, number, spaced in numbered(short):
        if spaced:
            yield Text()
        text = card.verdict if line.part == "verdict" else line.text
        yield Padding(_styled(line._replace(text=text), number), (0, 0, 0, INDENT.get(line.part, 0)))
    if left > 0:
        where = [] if store is None else ["--store", str(store)]
        command = shlex.join(["idiolect", "explain", card.user, *where])
        yield Text(f"{left} more: {visible(command, one_line=True)}", style="dim")


def _rated(item: ItemTexts) -> str:
    return "" if item.rating is None else f" (rated {item.rating:g})"


def _heading(text: str) -> Text:
    return Text(visible(text, one_line=True), style="bold")


def _texts(item: ItemTexts, width: int) -> Table:
    """The user's own text and the methods', in one, two or four columns."""
    panels = [_panel("the user's own text", item.reference, "green")]
    panels += [_panel(_name(method), text, "blue") for method, text in item.texts.items()]
    fit = max(1, width // _NARROWEST)
    n_columns = next(n for n in (4, 2, 1) if n <= fit)
    grid = Table.grid(expand=True)
    for _ in range(n_columns):
        grid.add_column(ratio=1)
    for start in range(0, len(panels), n_columns):
        grid.add_row(*panels[start : start + n_columns])
    return grid


def _panel(title: str, text: str, style: str) -> Panel:
    return Panel(Text(visible(text)), title=Text(title), title_align="left", border_style=style, box=box.ROUNDED)


def _name(method: str) -> str:
    return _declared(method).title or method


def _declared(method: str) -> Requirements:
    """What the method declares of itself; nothing for one that is not registered."""
    return requirements(method) if method in METHODS else Requirements()


def _table(gains: Sequence[Gain]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("method", "what it gets of the user"):
        table.add_column(heading, overflow="fold")
    table.add_column("gain, nats per review", justify="right", no_wrap=True)
    table.add_column("personal?", no_wrap=True)
    for one in gains:
        given = _declared(one.method).reads
        name = f"{_name(one.method)} (measured)" if one.measured else _name(one.method)
        if one.verdict is None:
            table.add_row(name, given, "", "")
            continue
        gain, outcome = one.verdict.gain, one.verdict.outcome
        shown = f"{gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"
        table.add_row(name, given, shown, _GAINED[outcome], style="bold" if outcome == "holds" else None)
    return table


def what_is_personal(gains: Sequence[Gain]) -> str:
    """One sentence: whose gains over Non-Perso come from knowing the user.

    Args:
        gains: One per method.
    """
    personal, others = _listed(gains, personal=True), _listed(gains, personal=False)
    if not personal:
        return "No gain was shown to be personal."
    found = f"The gain of {personal} is personal: it is lost with another user's history"
    return f"{found}; not shown for {others}." if others else f"{found}."


def _listed(gains: Sequence[Gain], *, personal: bool) -> str:
    names = [_name(one.method) for one in gains if one.verdict and (one.verdict.outcome == "holds") == personal]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
