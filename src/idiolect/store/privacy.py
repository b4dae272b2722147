"""Pseudonyms in place of user ids, and the erasure of a user in one transaction.

A keyed hash (BLAKE2b) gives the same user the same pseudonym under the same key. With the key and an id the user's
reviews can be found; with the store alone ids can neither be read nor guessed from a list. Texts are not changed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import sqlalchemy as sa

from idiolect.data.output_files import make_once
from idiolect.data.values import clean_id
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.sqlite import is_sqlite
from idiolect.store import schema as tables
from idiolect.store.base import ErasureReceipt
from idiolect.store.insertion import adjust_totals
from idiolect.store.metadata import StoreBase, note_erasure, set_peer
from idiolect.store.schema import ITEM, to_item
from idiolect.types import Item, UserId

_KEY_BYTES = 32


class Pseudonyms:
    """Users' ids to pseudonyms of 32 hexadecimal digits.

    Args:
        key: 32 secret bytes.

    Raises:
        ArtifactError: It has another length.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise ArtifactError(f"a key has {_KEY_BYTES} bytes, not {len(key)}", hint="give the file that ingest made")
        self._key = key

    @classmethod
    def open(cls, path: str | Path, *, create: bool = True) -> Pseudonyms:
        """Read the key from a file, which only its owner may read; keep it away from the store.

        Args:
            path: The file, with 64 hexadecimal digits.
            create: Create the file with a new random key if there is none.

        Raises:
            NotFoundError: There is no file and ``create`` is off.
            ArtifactError: The file holds no key.
        """
        path = Path(path)
        if is_sqlite(path):  # perhaps the store itself, which only SQLite may open
            raise ArtifactError(
                f"{str(path)!r} is an SQLite database, not a key", hint="give the file that ingest used"
            )
        if create:
            make_once(path, f"{secrets.token_hex(_KEY_BYTES)}\n".encode())
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
        """The key's check value, which a store keeps; the key cannot be computed from it."""
        return blake2b(digest_size=8, key=self._key, person=b"name of the key").hexdigest()


def check_names(store: StoreBase, pseudonyms: Pseudonyms | None, *, take: bool = False) -> None:
    """Check that users are named by the store's id scheme.

    Args:
        store: The store.
        pseudonyms: Turns ids into pseudonyms; None: plain ids.
        take: Whether a store without reviews adopts this scheme.

    Raises:
        ConfigError: The store uses another scheme or key.
    """
    wanted, held = pseudonyms.name if pseudonyms else "", store.names()
    if held != wanted and take:
        held = store.set_id_scheme(wanted)
    if held == wanted:
        return
    if not held:
        raise ConfigError("the store knows users by their own ids", hint="leave pseudonyms= out, or use a new store")
    if not wanted:
        raise ConfigError("the store knows users by pseudonyms", hint="name the key that ingest used: pseudonyms=FILE")
    raise ConfigError("the store's pseudonyms are of another key", hint="name the file that ingest used")


def user_in(store: StoreBase, user: str, key: Path | None) -> UserId:
    """A user's id in the store: the given one or, if no user has it, the one that reading files makes of it.

    Args:
        store: The store.
        user: The user's id.
        key: File of the key of the store's pseudonyms; None: plain ids.

    Raises:
        ConfigError: The store uses another id scheme, or the id is empty.
        NotFoundError: There is no such file.
        ArtifactError: The file holds no key.
    """
    if not clean_id(user):
        raise ConfigError("no user is named", hint="give the user's id; is a variable empty?")
    pseudonyms = Pseudonyms.open(key, create=False) if key else None
    check_names(store, pseudonyms)
    ids = [pseudonyms(name) if pseudonyms else UserId(name) for name in dict.fromkeys((user, clean_id(user)))]
    return next((id for id in ids if store.wrote(id)), ids[0]) if len(ids) > 1 else ids[0]


_BATCH = 1000
_items, _reviews, _vectors, _encoders = tables.items.c, tables.reviews.c, tables.vectors.c, tables.encoders.c


def erase(connection: sa.Connection, user: UserId) -> ErasureReceipt:
    """Remove a user from every table; repeated calls change nothing."""
    set_peer(connection, user, False)  # which removes them from the sums
    vectors = _erase_vectors(connection, user)
    set_peer(connection, user, True)  # with no vectors left to add to the sums
    items_removed, items_shared = _erase_items(connection, user)
    columns = (_reviews.item, _reviews.timestamp, _reviews.digest)
    rows = connection.execute(sa.select(*columns).where(_reviews.user == user)).all()
    connection.execute(sa.delete(tables.reviews).where(_reviews.user == user))
    connection.execute(sa.delete(tables.corrections).where(tables.corrections.c.user == user))
    adjust_totals(
        connection,
        digest=-sum(int.from_bytes(row.digest) for row in rows),
        reviews=-len(rows),
        dated=-sum(row.timestamp is not None for row in rows),
    )
    note_erasure(connection)
    return ErasureReceipt(
        reviews=len(rows),
        vectors=vectors,
        items_touched=len({row.item for row in rows}),
        items_removed=items_removed,
        items_shared=items_shared,
        vacuumed=False,
    )


def items_alone(connection: sa.Connection, user: UserId) -> list[Item]:
    """The records with texts of items that only this user wrote about, which may be the user's own texts."""
    return [to_item(row) for row in connection.execute(sa.select(*ITEM).where(_written_about(user), _alone(user)))]


def other_item_texts(connection: sa.Connection, user: UserId) -> Iterator[str]:
    """Titles and descriptions of all items but those that only this user wrote about."""
    query = sa.select(_items.title, _items.description).where(~(_written_about(user) & _alone(user)))
    for row in connection.execution_options(stream_results=True).execute(query).yield_per(_BATCH):
        yield from row


def _written_about(user: UserId) -> sa.ColumnElement[bool]:
    """Items with texts; a record without texts holds no personal data."""
    return (_items.title + _items.description != "") & _items.id.in_(
        sa.select(_reviews.item).where(_reviews.user == user)
    )


def _alone(user: UserId) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(_reviews.item == _items.id, _reviews.user != user)


def _erase_items(connection: sa.Connection, user: UserId) -> tuple[int, int]:
    """Remove the records with texts of items that only this user wrote about; nothing else refers to them.

    Returns:
        The number of removed records, and of those that stay because others wrote about them.
    """
    counted = sa.select(sa.func.count()).select_from(tables.items).where(_written_about(user))
    touched = connection.execute(counted).scalar_one()
    alone = sa.select(_items.seq, _items.digest).where(_written_about(user), _alone(user))
    rows = connection.execute(alone).all()
    if rows:
        gone = sa.delete(tables.items).where(_items.seq == sa.bindparam("of"))
        connection.execute(gone, [{"of": row.seq} for row in rows])
    adjust_totals(connection, digest=-sum(int.from_bytes(row.digest) for row in rows), items=-len(rows))
    return len(rows), touched - len(rows)


def _erase_vectors(connection: sa.Connection, user: UserId) -> int:
    """Remove the vectors and update each encoder's count; an encoder without vectors is removed."""
    of_user = _vectors.review.in_(sa.select(_reviews.seq).where(_reviews.user == user))
    counts = sa.select(_vectors.encoder, sa.func.count().label("n")).where(of_user).group_by(_vectors.encoder)
    found = connection.execute(counts).all()
    connection.execute(sa.delete(tables.vectors).where(of_user))
    for encoder, n in found:
        left = sa.update(tables.encoders).where(_encoders.key == encoder)
        connection.execute(left.values(n_vectors=_encoders.n_vectors - n))
    return sum(n for _, n in found)
