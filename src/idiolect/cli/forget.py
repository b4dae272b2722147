"""``idiolect forget``."""

from __future__ import annotations

from pathlib import Path

from idiolect.cli.options import Json, KeyFile, StorePath, UserName, show
from idiolect.experiments.erasure.forget import forget_user


def forget(
    user: UserName,
    /,
    *,
    store: StorePath = "idiolect.db",
    outputs: tuple[Path, ...] = (),
    pseudonyms: KeyFile = None,
    json: Json = False,
) -> None:
    """Erase a user: texts, vectors, sums, recorded answers, snapshots, rejects and outputs; print a receipt.

    The receipt says what was removed where, lists what was not reached, and does not name the user. Adapters and
    backbones that were trained while the reviews were there are listed: training is not undone. Other processes may use
    the store meanwhile, but a run that is under way may still write what it has read. Interrupted, run it again.

    Args:
        user: Whom. An id that begins with -- goes last, behind a -- of its own.
        store: SQLite file or database URL.
        outputs: Further files and folders that idiolect wrote, where they were moved or are not recorded in the store;
            may be repeated. Rows and files with the user's ids or words are removed from them.
        pseudonyms: File of the key, where the store knows users by pseudonyms.
        json: Print one JSON object.
    """
    receipt = forget_user(store, user, outputs=outputs, pseudonyms=pseudonyms)
    show(receipt.record(), receipt.text(), as_json=json)
