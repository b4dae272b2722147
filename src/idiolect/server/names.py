"""Pseudonyms of users for keys that may not see who else is in a store.

A pseudonym is a keyed digest of the id. Its secret stays on the server, so that nobody can compute the pseudonym of an
id that they guess, and all processes with the same folder ``data`` give the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from idiolect.explain.people_map import PeopleMap
from idiolect.types import UserId


def pseudonym(user: str, secret: bytes) -> str:
    """What stands for a user.

    Example:
        >>> pseudonym("ann", b"secret") == pseudonym("ann", b"secret") != pseudonym("bob", b"secret")
        True
    """
    return f"user-{blake2b(user.encode(errors='surrogatepass'), key=secret[:64], digest_size=8).hexdigest()}"


class ShownMap(NamedTuple):
    """A map as it is shown."""

    people: PeopleMap
    """With the names that are shown."""
    ids: Sequence[UserId]
    """Ids of the users, in the order of ``people``."""


def anonymous(people: PeopleMap, secret: bytes) -> ShownMap:
    """The map with pseudonyms, in their order, so that a user's place in it says nothing of the id."""
    names = np.array([pseudonym(user, secret) for user in people.users], dtype=object)
    order = np.argsort(names, kind="stable")
    shown = replace(
        people,
        users=tuple(UserId(name) for name in names[order]),
        n_items=people.n_items[order],
        effects=people.effects[order],
        points=people.points[order],
    )
    return ShownMap(shown, [people.users[row] for row in order.tolist()])
