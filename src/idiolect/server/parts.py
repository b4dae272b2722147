"""Parts of the server that can be damaged or missing, so that an error says which one it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from idiolect.errors import ArtifactError, IdiolectError, NotFoundError

PartName = Literal["adapter", "encoder", "model", "keys", "evaluation"]
REMEDIES: dict[PartName, str] = {
    "adapter": "the server's adapter does not fit its model, encoder or templates, or is damaged",
    "encoder": "the server's encoder is missing or damaged",
    "model": "the server's model is missing or damaged, or does not answer",
    "keys": "the server's file of keys, or the key of its pseudonyms, is damaged",
    "evaluation": "the files of this evaluation are damaged",
}
"""The message for clients; the operator's log says more."""


class PartError(Exception):
    """A part of the server cannot be used.

    Args:
        part: Which.
        message: Where and why, for the operator's log.
    """

    def __init__(self, part: PartName, message: str) -> None:
        super().__init__(message)
        self.part: PartName = part


@contextmanager
def part_of(part: PartName, errors: tuple[type[IdiolectError], ...] = (ArtifactError, NotFoundError)) -> Iterator[None]:
    """Within the block, what cannot be used or found is this part of the server: not the store, nor a user.

    Raises:
        PartError: One of ``errors`` was raised.
    """
    try:
        yield
    except errors as error:
        raise PartError(part, str(error)) from error
