"""Which claims a set of runs can settle, by their names: ``method`` and ``method: control``."""

from __future__ import annotations

from collections.abc import Collection

from idiolect.evaluation.personal import Claim

NO_ADAPTER = "no adapter"
OTHER_VECTORS = "another user's vectors"
WRONG_USER = "wrong user"
CONSTANT = "trained constant"
SHUFFLED_PEERS = "shuffled peers"
HIS_TWICE = "his twice"

_VECTORS = (OTHER_VECTORS, CONSTANT)
_DIFFERENCE = (SHUFFLED_PEERS, HIS_TWICE)


def control_name(method: str, control: str) -> str:
    """What a control of a method is called."""
    return f"{method}: {control}"


def is_control(run: str) -> bool:
    """Whether a run is some method's control."""
    return ": " in run


def settled_by(runs: Collection[str]) -> tuple[Claim, ...]:
    """Every claim that the runs have a baseline and a rival for.

    - That the *history* is personal: over Non-Perso, against ``wrong user``, of every method.
    - That the *vectors* are: over the same prompt without them, against another user's vectors and a trained constant.
      A wrong user is no rival there, for it changes the text too.
    - That it is the *difference*: over the same, against adapters trained with as many slots but without it.

    Args:
        runs: Their names.
    """
    methods = [run for run in runs if not is_control(run)]
    found = [claim for method in methods for claim in _of(method, runs)]
    return tuple(claim for claim in found if claim.baseline in runs and claim.rivals)


def _of(method: str, runs: Collection[str]) -> tuple[Claim, Claim, Claim]:
    def known(*controls: str) -> tuple[str, ...]:
        return tuple(name for name in (control_name(method, control) for control in controls) if name in runs)

    # A prompt that shows text is RAG's once its slots are gone.
    bare = next(iter(known(NO_ADAPTER)), "rag")
    return (
        Claim(method=method, baseline="nonpersonalized", rivals=known(WRONG_USER)),
        Claim(method=method, baseline=bare, rivals=known(*_VECTORS)),
        Claim(method=method, baseline=bare, rivals=known(*_DIFFERENCE), source="difference"),
    )
