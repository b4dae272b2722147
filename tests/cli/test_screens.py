"""The demo's last screen, drawn from small recorded results."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from idiolect.cli.screens import _table, print_demo, what_is_personal
from idiolect.difference.stylometry import MEASURES
from idiolect.evaluation.attribution import Claim as Claimed
from idiolect.evaluation.attribution import Outcome, Verdict
from idiolect.evaluation.significance import Interval
from idiolect.experiments.demo import Example, Gain, ItemTexts
from idiolect.explain.card import Claim
from idiolect.explain.layout import Card, CardClaim
from idiolect.explain.quoting import UserQuote
from idiolect.types import ConditionId, ItemId, ReviewId, UserId

METHODS = ("nonpersonalized", "rag", "pag", "dpl", "drp", "dep")
OWN = "Up front: it is a gem! [bold]Dear reader[/bold], Amos went to Detroit for tunes named after subway stops!"


def claim(place: int) -> CardClaim:
    of = Claim(
        measure=MEASURES[place], direction="more", own=2.0, others=1.0, effect=1.2, low=0.3, high=2.0, support=8,
        n_items=9, p=0.02, own_showing=0.9, others_showing=0.4,
    )  # fmt: skip
    quote = UserQuote(text="It left \x1b[2Jme cold!", review=ReviewId("r1"), item=ItemId("i1"))
    return CardClaim(phrase=MEASURES[place].more, claim=of, quotes=(quote,))


@pytest.fixture
def card() -> Card:
    return Card(
        user=UserId("u1"), n_reviews=10, n_items=9, n_peer_reviews=90, n_others=40, n_measures=51, fdr_level=0.05,
        level=0.99, own_left_out=0, peers_left_out=0, too_few=False, measured=tuple(map(claim, range(5))),
        model_claims=(), rejected=(),
    )  # fmt: skip


@pytest.fixture
def example(card: Card) -> Example:
    texts = {name: f"What {name} wrote about it: tunes named after subway stops, and so on." for name in
             ("nonpersonalized", "rag", "dep")}  # fmt: skip
    items = (
        ItemTexts(title="Plangent!", rating=5.0, reference=OWN, texts=texts),
        ItemTexts(title="Second", rating=None, reference="Short.", texts=texts),
    )
    return Example(card=card, items=items)


def gains(**outcomes: Outcome) -> tuple[Gain, ...]:
    found = []
    for name in METHODS:
        outcome = outcomes.get(name)
        verdict = None
        if outcome is not None:
            of = Claimed(method=ConditionId(name), baseline=ConditionId("nonpersonalized"), controls=())
            verdict = Verdict(claim=of, outcome=outcome, gain=Interval(0.87, 0.35, 1.39), controls=(), units=64)
        found.append(Gain(method=name, nats=78.4, verdict=verdict))
    return tuple(found)


def screen(example: Example, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    found = gains(rag="no gain", pag="undecided", dpl="holds", drp="holds", dep="fails")
    print_demo(example, found, console, store=Path("my demo/d.db"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [50, 80, 120, 160])
def test_it_fits_the_terminal_and_shows_every_part(example: Example, width: int) -> None:
    shown = screen(example, width)
    assert max(map(len, shown.splitlines())) <= width
    words = " ".join(shown.replace("│", " ").split())
    assert "How u1 differs from others" in words
    assert "5 differences from others" in words
    assert "2 more: idiolect explain u1 --store 'my demo/d.db'" in words
    assert "Plangent! (rated 5)" in words
    assert all(word in shown for word in ("[bold]", "subway", "\\x1b"))
    assert "\x1b" not in shown
    table = shown[shown.index("What each method gains") :]
    assert all(name in table for name in ("Non-Perso", "RAG", "PAG", "DPL", "DRP", "DEP"))


def test_texts_are_side_by_side_where_they_fit(example: Example) -> None:
    def beside(width: int) -> bool:
        return any("own text" in line and "DEP" in line for line in screen(example, width).splitlines())

    assert beside(160)
    assert not beside(80)
    assert any("own text" in line and "Non-Perso" in line for line in screen(example, 80).splitlines())


@pytest.mark.parametrize(
    ("outcomes", "sentence"),
    [
        ({}, "No gain was shown to be personal."),
        ({"rag": "no gain", "dep": "undecided"}, "No gain was shown to be personal."),
        ({"dep": "holds"}, "DEP"),
        ({"rag": "no gain", "dpl": "holds", "dep": "holds"}, "DPL and DEP"),
        ({"rag": "no gain", "pag": "no gain", "dpl": "holds", "drp": "holds", "dep": "holds"}, "DPL, DRP and DEP"),
    ],
)
def test_one_sentence_says_what_is_personal(outcomes: dict[str, Outcome], sentence: str) -> None:
    found = what_is_personal(gains(**outcomes))
    assert sentence in found
    assert ("not shown for" in found) == ("holds" in outcomes.values() and "rag" in outcomes)


def test_a_card_is_its_text(card: Card) -> None:
    assert repr(card) == card.text
    assert card.text.startswith("How u1 differs from others\n10 reviews")
    assert " 1. " in card.text
    assert "\x1b" not in card.text
    assert card._repr_markdown_().startswith("# How u1")
    assert card.record()["model_claims"] == []


def test_a_method_without_a_model_in_its_roles_is_named_as_measured():
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    drp = Gain(method="drp", nats=78.1, verdict=None, measured=True)
    console.print(_table([drp, Gain(method="rag", nats=79.0, verdict=None)]))
    shown = console.file.getvalue()
    assert shown.count("(measured)") == 1
