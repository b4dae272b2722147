"""Conditions settle the claims that they have a baseline and a control for, and no others."""

from __future__ import annotations

from idiolect.evaluation.attribution import Claim, settled_by
from idiolect.types import ConditionId

NONE, RAG, DEP = map(ConditionId, ("nonpersonalized", "rag", "dep"))


def of(method: ConditionId, *controls: str) -> tuple[ConditionId, ...]:
    return tuple(ConditionId(method.method, control) for control in controls)


VECTORS = of(DEP, "another user's vectors", "trained constant")
DIFFERENCE = of(DEP, "shuffled peers", "his twice")
(BARE,) = of(DEP, "no adapter")


def test_all_conditions_settle_history_vectors_and_difference() -> None:
    everything = [NONE, RAG, DEP, *of(RAG, "wrong user"), BARE, *VECTORS, *of(DEP, "wrong user"), *DIFFERENCE]
    assert settled_by(everything) == (
        Claim(method=RAG, baseline=NONE, controls=of(RAG, "wrong user")),
        Claim(method=DEP, baseline=NONE, controls=of(DEP, "wrong user")),
        Claim(method=DEP, baseline=BARE, controls=VECTORS),
        Claim(method=DEP, baseline=BARE, controls=DIFFERENCE, source="difference"),
    )


def test_dep_with_text_is_compared_with_rag_whose_prompt_it_has() -> None:
    constant = of(DEP, "trained constant")
    assert settled_by([RAG, DEP, *constant]) == (Claim(method=DEP, baseline=RAG, controls=constant),)


def test_methods_alone_settle_nothing() -> None:
    assert settled_by([NONE, RAG, DEP]) == ()
    assert settled_by([RAG, *of(RAG, "wrong user")]) == ()


def test_a_method_named_like_a_control_is_a_method() -> None:
    own = ConditionId("dep: wrong user")
    assert settled_by([NONE, DEP, own]) == ()
    assert settled_by([NONE, own, *of(own, "wrong user")]) == (
        Claim(method=own, baseline=NONE, controls=of(own, "wrong user")),
    )
