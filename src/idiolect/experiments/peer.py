"""Whether others may be compared with a user."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from idiolect.errors import NotFoundError
from idiolect.store.pseudonym import user_in
from idiolect.store.sql import SqlStore


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReport:
    """How it stands, without naming the user."""

    peer: bool
    """Whether others may be compared with them."""
    changed: bool
    reviews: int
    """Of theirs in the store."""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def text(self) -> str:
        """For people."""
        now = "may be compared with" if self.peer else "is nobody's peer"
        again = "; splits made before are refused: split again, and fit again" if self.changed else ""
        return f"this user, with {self.reviews} reviews, {now}{again}"


def set_peer(store: str, user: str, peer: bool | None, *, pseudonyms: Path | None = None) -> PeerReport:
    """Let others be compared with a user, or not.

    Args:
        store: SQLite file or database URL.
        user: Whom.
        peer: Whether others may be compared with them; None: as it is.
        pseudonyms: File of the key, where the store knows users by pseudonyms.

    Raises:
        NotFoundError: There is no such store, or no review by the user.
        ConfigError: The store knows users by other names.
    """
    with SqlStore(store, create=False) as database:
        known = user_in(database, user, pseudonyms)
        reviews = len(database.profile(known))
        if not reviews:
            raise NotFoundError("no review by this user in the store", hint="check the id; ids are case-sensitive")
        changed = peer is not None and database.set_peer(known, peer)
        return PeerReport(peer=known not in database.not_peers(), changed=changed, reviews=reviews)
