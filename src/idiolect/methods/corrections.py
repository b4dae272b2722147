"""A summary that honours what users corrected or muted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from idiolect.difference.claims.corrections import statements, without_corrected
from idiolect.difference.claims.vote import UNKNOWN, verbalise
from idiolect.methods.stages import ProfileState, Stage
from idiolect.store.base import Correction
from idiolect.types import UserId

Corrections = Callable[[UserId], Sequence[Correction]]
"""Looks up what a user corrected or muted."""


def corrected(summarize: Stage, corrections: Corrections | None) -> Stage:
    """The stage, with muted differences left out and users' own statements in the profile.

    Args:
        summarize: Makes profiles.
        corrections: None: there are none, and the stage is as it was.
    """
    if corrections is None:
        return summarize

    def apply(states: Sequence[ProfileState]) -> list[ProfileState]:
        found = [corrections(state.context.sample.user) for state in states]
        without = [_without(state, own) for state, own in zip(states, found, strict=True)]
        return [_finished(one, own) for one, own in zip(summarize(without), found, strict=True)]

    return apply


def _without(state: ProfileState, own: Sequence[Correction]) -> ProfileState:
    return replace(state, features=tuple(without_corrected(state.features, own))) if own else state


def _finished(state: ProfileState, own: Sequence[Correction]) -> ProfileState:
    """The state after its summary, which may have found features itself, as PAG's does."""
    if not own:
        return state
    kept = _without(state, own)
    again = kept.features != state.features
    profile = verbalise(kept.features, nothing=UNKNOWN) if again else state.profile
    said = [f"In their own words: {text}" for text in statements(own)]
    return replace(kept, profile=" ".join([profile, *said]))
