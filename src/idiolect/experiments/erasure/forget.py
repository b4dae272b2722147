"""A user erased: from what was made of their reviews first, from the store last, so that a second run can go on."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idiolect.errors import ConfigError, NotFoundError
from idiolect.experiments.erasure.files import Erased, erase_from, trained
from idiolect.experiments.erasure.traces import Traces
from idiolect.llm.cache import is_cache
from idiolect.store.base import ErasureReceipt
from idiolect.store.files import PARTIAL
from idiolect.store.pseudonym import user_in
from idiolect.store.sql import SqlStore

_COME_AND_GO = frozenset({"rejects", "cache", "rating sheet", "snapshot"})
"""Kinds of output that are recorded before they are written, and may never be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was removed where, without naming the user."""

    store: ErasureReceipt
    erased: tuple[Erased, ...]
    """From recorded answers, snapshots, rejects and outputs."""
    absent: tuple[Path, ...]
    """Recorded outputs that are not where they were written: moved, or removed before."""
    not_unlearned: tuple[Path, ...]
    """Adapters and backbones that may have been trained on them. Erasing a review does not take it out of weights."""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "reviews": self.store.reviews,
            "vectors": self.store.vectors,
            "items_touched": self.store.items_touched,
            "scrubbed": self.store.scrubbed,
            "erased": [{"path": str(e.path), "what": e.what, "count": e.count} for e in self.erased],
            "absent": [str(path) for path in self.absent],
            "not_unlearned": [str(path) for path in self.not_unlearned],
        }

    def text(self) -> str:
        """For people."""
        store = self.store
        lines = [f"{store.reviews} reviews and {store.vectors} vectors removed, on {store.items_touched} items"]
        if not store.reviews:
            lines.append("the store holds no review of this user: erased before, or is the name misspelled?")
        lines += [f"{e.count} {e.what} removed: {e.path}" for e in self.erased]
        lines += [f"not found where it was written: {path}" for path in self.absent]
        if not store.scrubbed:
            lines.append("another process uses the store: close it and run the same command again to drop old bytes")
        if self.not_unlearned:
            lines.append("trained while the reviews were in the store and NOT unlearned; fit again:")
            lines += [f"  {path}" for path in self.not_unlearned]
        return "\n".join(lines)


def forget_user(store: str, user: str, *, outputs: Sequence[Path] = (), pseudonyms: Path | None = None) -> Receipt:
    """Erase a user from a store, from what was recorded as written from it, and from ``outputs``.

    No run should be under way on the store. An erasure that was interrupted is completed by a second one.

    Args:
        store: SQLite file or database URL.
        user: Whom.
        outputs: Further files and folders of the library's: those written by a version that recorded none, moved ones,
            or caches that lie elsewhere than beside the store.
        pseudonyms: File of the key, where the store knows users by pseudonyms.

    Raises:
        NotFoundError: There is no store, no such key, or nothing at one of ``outputs``.
        ConfigError: The store knows users by other names, or one of ``outputs`` holds the store, and so other things.
        ArtifactError: A cache or the store cannot be written.
    """
    with SqlStore(store, create=False) as database:
        given = [_output(path, store) for path in outputs]
        known = user_in(database, user, pseudonyms)
        traces = Traces.of(known, database.profile(known), aliases=(user,))
        recorded = database.outputs()
        places = list(dict.fromkeys([*recorded, *_unfinished(recorded), *given, *_caches_beside(store)]))
        erased = tuple(found for place in places for found in erase_from(place, traces))
        receipt = database.forget(known)
        expected = [path for path, kind in recorded.items() if kind not in _COME_AND_GO]
    return Receipt(
        store=receipt,
        erased=tuple(_unnamed(found, traces) for found in erased),
        absent=tuple(_shown(path, traces) for path in expected if not path.exists() and not _gone(path, erased)),
        not_unlearned=tuple(dict.fromkeys(path for place in places for path in trained(place))),
    )


def _output(path: Path, store: str) -> Path:
    """The path in full; what is found there is taken for the library's, and removed."""
    place = path.resolve()
    if not place.exists():
        raise NotFoundError(f"there is nothing at {str(path)!r}", hint="check --outputs; nothing was removed")
    if "://" not in store and Path(store).resolve().is_relative_to(place):
        raise ConfigError(
            f"{str(path)!r} holds the store, and other things than outputs",
            hint="name the outputs; nothing was removed",
        )
    return place


def _unfinished(recorded: Iterable[Path]) -> Iterator[Path]:
    """What a call that was killed may have left beside an output: a part of the file, or of the folder."""
    for path in recorded:
        name = glob.escape(path.name)
        for pattern in (f"{name}{PARTIAL}", f"{name}.[0-9]*{PARTIAL}", f".{name}-*{PARTIAL}"):
            yield from sorted(path.parent.glob(pattern))


def _caches_beside(store: str) -> Iterator[Path]:
    """Records of answers in the store's folder, or in the current one if the store is no file.

    Earlier versions recorded none. The store is left out without a look: only its own connections may open it.
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
    return Erased(path=_shown(found.path, traces), what=found.what, count=found.count)


def _shown(path: Path, traces: Traces) -> Path:
    """The path, or its folder where its name is one of the user's ids."""
    return path.parent if any(id in path.name for id in traces.ids) else path
