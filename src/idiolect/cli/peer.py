"""``idiolect peer``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from idiolect.cli.options import Json, KeyFile, StorePath, UserName, show
from idiolect.experiments.peer import set_peer


def peer(
    user: UserName,
    /,
    *,
    store: StorePath = "idiolect.db",
    exclude: Annotated[bool | None, Parameter(negative="--include")] = None,
    pseudonyms: KeyFile = None,
    json: Json = False,
) -> None:
    """Say whether others may be compared with a user, or change it.

    Whoever is excluded is nobody's peer: their texts and vectors are in no difference, no norm and no card but their
    own. Their own history goes on serving them. Splits made before are then refused: split again, and fit again.

    Args:
        user: Whom. An id that begins with -- goes last, behind a -- of its own.
        store: SQLite file or database URL.
        exclude: Compare nobody with them from now on; --include lets others be compared with them again.
        pseudonyms: File of the key, where the store knows users by pseudonyms.
        json: Print one JSON object.
    """
    found = set_peer(store, user, None if exclude is None else not exclude, pseudonyms=pseudonyms)
    show(found.record(), found.text(), as_json=json)
