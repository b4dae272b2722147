"""Runs settle the claims that they have a baseline and a rival for, and no others."""

from __future__ import annotations

from idiolect.evaluation.attribution import Claim, settled_by

EVERYTHING = [
    "nonpersonalized",
    "rag",
    "dep",
    "rag: wrong user",
    "dep: no adapter",
    "dep: trained constant",
    "dep: another user's vectors",
    "dep: wrong user",
    "dep: shuffled peers",
    "dep: his twice",
]


def test_all_runs_settle_history_vectors_and_difference() -> None:
    vectors = ("dep: another user's vectors", "dep: trained constant")
    difference = ("dep: shuffled peers", "dep: his twice")
    assert settled_by(EVERYTHING) == (
        Claim(method="rag", baseline="nonpersonalized", rivals=("rag: wrong user",)),
        Claim(method="dep", baseline="nonpersonalized", rivals=("dep: wrong user",)),
        Claim(method="dep", baseline="dep: no adapter", rivals=vectors),
        Claim(method="dep", baseline="dep: no adapter", rivals=difference, source="difference"),
    )


def test_dep_with_text_is_held_against_rag_whose_prompt_it_has() -> None:
    runs = ["rag", "dep", "dep: trained constant"]
    assert settled_by(runs) == (Claim(method="dep", baseline="rag", rivals=("dep: trained constant",)),)


def test_methods_alone_settle_nothing() -> None:
    assert settled_by(["nonpersonalized", "rag", "dep"]) == ()
    assert settled_by(["rag", "rag: wrong user"]) == ()
