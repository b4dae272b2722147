"""Names in place of users: a store that nobody can read a user's id from, and that still finds who asks to be erased.

A keyed hash (BLAKE2b) gives the same user the same pseudonym under the same key. Who has the key and an id can find the
user's reviews; who has the store alone can neither read ids nor try a list of them. Texts are left as they are.
"""

from __future__ import annotations

import os
import secrets
from hashlib import blake2b
from pathlib import Path

from idiolect.corpus.atomic import is_sqlite
from idiolect.corpus.fields import clean_id
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.store.noted import Noted
from idiolect.types import UserId

_KEY_BYTES = 32


class Pseudonyms:
    """Users' ids to pseudonyms of 32 hexadecimal digits.

    Args:
        key: 32 secret bytes.

    Raises:
        ArtifactError: It is not of that length.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise ArtifactError(f"a key has {_KEY_BYTES} bytes, not {len(key)}", hint="give the file that ingest made")
        self._key = key

    @classmethod
    def open(cls, path: str | Path, *, create: bool = True) -> Pseudonyms:
        """Those of a key's file, which only its owner may read; keep it away from the store.

        Args:
            path: Of the file; 64 hexadecimal digits.
            create: Make the file, with a new random key, where there is none.

        Raises:
            NotFoundError: There is none and ``create`` is off.
            ArtifactError: The file holds no key.
        """
        path = Path(path)
        if is_sqlite(path):  # perhaps the store itself, which nothing but SQLite may open
            raise ArtifactError(
                f"{str(path)!r} is an SQLite database, not a key", hint="give the file that ingest used"
            )
        if create:
            _make(path)
        try:
            return cls(bytes.fromhex(path.read_text(encoding="ascii")))
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no key at {str(path)!r}", hint="give the file that ingest used") from error
        except (OSError, ValueError) as error:
            raise ArtifactError(
                f"{str(path)!r} holds no key: {error}", hint="give the file that ingest used"
            ) from error

    def __call__(self, user: str) -> UserId:
        """The user's pseudonym."""
        return UserId(blake2b(user.encode(errors="surrogatepass"), digest_size=16, key=self._key).hexdigest())

    @property
    def name(self) -> str:
        """What the key is known by in a store: tells it from other keys, and gives nothing of it away."""
        return blake2b(digest_size=8, key=self._key, person=b"name of the key").hexdigest()


def check_names(store: Noted, pseudonyms: Pseudonyms | None, *, take: bool = False) -> None:
    """Refuse to look for users by other names than a store knows them by.

    Args:
        store: The store.
        pseudonyms: What users' ids are turned into; None: they are left as they are.
        take: Whether a store without reviews takes these names from now on.

    Raises:
        ConfigError: They are others than the store's.
    """
    wanted, held = pseudonyms.name if pseudonyms else "", store.names()
    if held != wanted and take:
        held = store.take_names(wanted)
    if held == wanted:
        return
    if not held:
        raise ConfigError("the store knows users by their own ids", hint="leave --pseudonyms out, or use a new store")
    if not wanted:
        raise ConfigError(
            "the store knows users by pseudonyms", hint="name the key that ingest used: --pseudonyms FILE"
        )
    raise ConfigError("the store's pseudonyms are of another key", hint="name the file that ingest used")


def user_in(store: Noted, user: str, key: Path | None) -> UserId:
    """The id by which a store knows a user: the one that was named, or if nobody has it, as files are read.

    Args:
        store: The store.
        user: Their own id.
        key: File of the key of the store's pseudonyms; None: it has none.

    Raises:
        ConfigError: The store knows users by other names.
        NotFoundError: There is no such file.
        ArtifactError: The file holds no key.
    """
    pseudonyms = Pseudonyms.open(key, create=False) if key else None
    check_names(store, pseudonyms)
    ids = [pseudonyms(name) if pseudonyms else UserId(name) for name in dict.fromkeys((user, clean_id(user)))]
    return next((id for id in ids if store.wrote(id)), ids[0]) if len(ids) > 1 else ids[0]


def _make(path: Path) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_KEY_BYTES) + "\n")
    except FileExistsError:
        return
