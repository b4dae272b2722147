"""Erase a user from everything made from a store: recorded answers, snapshots, rejects, outputs, then the store.

The store comes last, so that an interrupted erasure can be continued.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from idiolect.difference.stylometry.known import clear as clear_known_texts
from idiolect.erasure.files import Erased, Left, erase_from, trained
from idiolect.erasure.traces import Traces
from idiolect.errors import ConfigError, NotFoundError
from idiolect.llm.cache import is_cache
from idiolect.store.base import ErasureReceipt
from idiolect.store.privacy import user_in
from idiolect.store.snapshot_files import unfinished
from idiolect.store.sql import SqlStore, said_alike
from idiolect.types import UserId

_REMADE = frozenset({"export", "snapshot", "split"})
"""Kinds of output that another process may have finished meanwhile."""
_BEYOND = (
    "the files that the reviews were read from, and other stores that they or an export were read into",
    "backups and copies of the store, and outputs and records of answers that were moved or that no store records",
    "log files, and what a shell wrote to a file",
    "quotes of fewer than six words, and other users' reviews that quote this user",
    "a database server's archived log, and blocks that the file system has freed",
    "what endpoints keep of the prompts that they were sent: logs, and prefix caches until they are overwritten",
)
"""What an erasure can neither reach nor inspect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was removed from where, without the user's id."""

    store: ErasureReceipt
    erased: tuple[Erased, ...]
    """Removed from answer caches, snapshots, rejects and outputs."""
    absent: tuple[Path, ...]
    """Recorded outputs that no longer exist at their path: moved, removed, or never finished."""
    not_unlearned: tuple[Path, ...]
    """Adapters and backbones that may have been trained on them. Erasing a review does not take it out of weights."""
    left: tuple[Left, ...] = ()
    """Files that could not be inspected or changed."""
    alike: tuple[UserId, ...] = ()
    """Users with similar ids, whose data was not removed."""

    def __repr__(self) -> str:
        return self.text

    @property
    def not_reached(self) -> list[dict[str, str]]:
        """Everything that may still contain the user's texts: a description, and the path if it is known."""
        found = [{"what": left.why, "path": str(left.path)} for left in self.left]
        found += [{"what": "not where it was written", "path": str(path)} for path in self.absent]
        found += [{"what": "weights that may have been trained on them", "path": str(p)} for p in self.not_unlearned]
        if not self.store.vacuumed:
            found.append({"what": "old bytes in the store's file, which another process uses"})
        if self.store.items_shared:
            found.append({"what": f"{self.store.items_shared} items that others wrote about too, with their texts"})
        return [*found, *({"what": what} for what in _BEYOND)]

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "reviews": self.store.reviews,
            "vectors": self.store.vectors,
            "items_touched": self.store.items_touched,
            "items_removed": self.store.items_removed,
            "items_shared": self.store.items_shared,
            "vacuumed": self.store.vacuumed,
            "erased": [{"path": str(e.path), "what": e.what, "count": e.count} for e in self.erased],
            "absent": [str(path) for path in self.absent],
            "not_unlearned": [str(path) for path in self.not_unlearned],
            "alike": list(self.alike),
            "not_reached": self.not_reached,
        }

    @property
    def text(self) -> str:
        """For people."""
        store = self.store
        lines = [f"{store.reviews} reviews and {store.vectors} vectors removed, on {store.items_touched} items"]
        if store.items_removed:
            lines.append(f"{store.items_removed} items removed that only this user wrote about")
        if not store.reviews:
            lines.append("the store holds no review of this user: erased before, or is the name misspelled?")
        if self.alike:
            lines.append(f"still there: {said_alike(self.alike)}; the same person? forget each of them too")
        lines += [f"{e.count} {e.what} removed: {e.path}" for e in self.erased]
        lines += [f"not found where it was written: {path}" for path in self.absent]
        if not store.vacuumed:
            lines.append("another process uses the store: close it and run the same command again to drop old bytes")
        if self.not_unlearned:
            lines.append("trained while the reviews were in the store and NOT unlearned; fit again:")
            lines += [f"  {path}" for path in self.not_unlearned]
        lines += [f"not reached: {left.path} ({left.why})" for left in self.left]
        if store.items_shared:
            lines.append(f"not reached: {store.items_shared} items that others wrote about too stay, with their texts")
        return "\n".join([*lines, "not reached either:", *(f"  {what}" for what in _BEYOND)])


def forget_user(store: str, user: str, *, outputs: Sequence[Path] = (), pseudonyms: Path | None = None) -> Receipt:
    """Erase a user from a store, from its recorded outputs, and from ``outputs``.

    Other processes may use the store meanwhile; outputs of a running process may still contain the user's texts. An
    interrupted erasure is completed by another call.

    Args:
        store: SQLite file or database URL.
        user: The user.
        outputs: Further files and folders of the library: moved ones, those of a version that recorded none, or caches
            outside the store's folder.
        pseudonyms: File of the key, if the store has pseudonyms.

    Raises:
        NotFoundError: There is no store, no such key, or nothing at one of ``outputs``.
        ConfigError: The store has another id scheme, or one of ``outputs`` contains the store.
        ArtifactError: The store cannot be written.
    """
    with SqlStore(store, create=False) as database:
        given = [_output(path, store) for path in outputs]
        known = user_in(database, user, pseudonyms)
        items = database.items_alone(known)
        others = database.other_item_texts(known)
        traces = Traces.of(known, database.profile(known), aliases=(user,), items=items, others=others)
        recorded, left = database.outputs(), dict[Path, Left]()
        # A file that is recorded as rejects is one under any other name, too.
        places = dict.fromkeys([*unfinished(recorded), *given, *_caches_next_to(store)], "") | recorded
        erased = list(_erase(places, traces, left))
        receipt = database.forget(known, vacuum=False)
        clear_known_texts()
        # Exports and snapshots that were read before this moment are in place now, or fail.
        later = {p: kind for p, kind in database.outputs().items() if p not in recorded or kind in _REMADE}
        erased += _erase(later, traces, left)
        absent = [path for path in recorded if not path.exists()]
        database.drop_outputs(path for path in absent if _gone(path, erased))
        alike = _alike(database, user, known, pseudonyms)
        receipt = replace(receipt, vacuumed=database.secure_vacuum())
    return Receipt(
        store=receipt,
        erased=tuple(_unnamed(found, traces) for found in erased),
        absent=tuple(_redacted_path(path, traces) for path in absent if not _gone(path, erased)),
        not_unlearned=tuple(dict.fromkeys(path for place in places | later for path in trained(place))),
        left=tuple(
            Left(path=_redacted_path(path, traces), why=one.why)
            for path, one in left.items()
            if not _is_store(path, store)
        ),
        alike=tuple(alike),
    )


def _erase(places: Mapping[Path, str], traces: Traces, left: dict[Path, Left]) -> Iterator[Erased]:
    for place, kind in places.items():
        yield from erase_from(place, traces, kind=kind, left=lambda one: left.setdefault(one.path, one))


def _alike(database: SqlStore, user: str, known: UserId, pseudonyms: Path | None) -> list[UserId]:
    """Users whose ids look the same; none with pseudonyms."""
    return [] if pseudonyms else [other for other in database.alike(user) if other != known]


def _output(path: Path, store: str) -> Path:
    """The resolved path; traces in it will be removed."""
    place = path.resolve()
    if not place.exists():
        raise NotFoundError(f"there is nothing at {str(path)!r}", hint="check outputs=; nothing was removed")
    if "://" not in store and Path(store).resolve().is_relative_to(place):
        raise ConfigError(
            f"{str(path)!r} holds the store, and other things than outputs",
            hint="name the outputs; nothing was removed",
        )
    return place


def _caches_next_to(store: str) -> Iterator[Path]:
    """Answer caches in the store's folder, or in the current one if the store is not a file.

    Earlier versions did not record them. The store itself is left out, because only its connections may open it.
    """
    folder = Path() if "://" in store else Path(store).parent
    for path in sorted(folder.glob("*.db")):
        if not _is_store(path, store) and is_cache(path):
            yield path.resolve()


def _is_store(path: Path, store: str) -> bool:
    return "://" not in store and Path(store).exists() and path.exists() and path.samefile(store)


def _gone(path: Path, erased: Sequence[Erased]) -> bool:
    return any(found.path == path for found in erased)


def _unnamed(found: Erased, traces: Traces) -> Erased:
    return Erased(path=_redacted_path(found.path, traces), what=found.what, count=found.count)


def _redacted_path(path: Path, traces: Traces) -> Path:
    """The path, or its folder if its name is one of the user's ids."""
    return path.parent if any(id in path.name for id in traces.ids) else path
