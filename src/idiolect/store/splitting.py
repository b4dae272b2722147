"""Split a store, and set whether a user may be compared with others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from idiolect.config import merge, read_yaml
from idiolect.data.output_files import cleaning_up, named_errors, real_path
from idiolect.data.published import published_roles
from idiolect.data.split import SplitCounts, split_as_published, write_split
from idiolect.data.split_config import SplitConfig
from idiolect.errors import ConfigError, NotFoundError
from idiolect.store.frames import StoreScan, item_frame
from idiolect.store.outputs import check_folder, claim_folder
from idiolect.store.privacy import Pseudonyms, check_names, user_in
from idiolect.store.snapshot_files import unfinished_folder
from idiolect.store.sql import SqlStore


def split_store(
    store: str,
    folder: Path,
    *,
    preset: str | None = None,
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    pseudonyms: Path | None = None,
) -> SplitReport:
    """Split a store and save the split.

    Intermediate tables of a large store are next to ``folder`` until it is written.

    With the setting ``source``, the roles of the reviews are those of a published data set.

    After any change of the store the split is out of date: it is refused and must be made again.

    Args:
        store: SQLite file or database URL.
        folder: Of the split.
        preset: Thresholds to start from; None: ``preset`` of the file, else ``small``.
        config: YAML file of thresholds that override the preset.
        changes: Thresholds that override the file.
        pseudonyms: File of the key, if the store knows users by pseudonyms and a ``source`` is read.

    Raises:
        NotFoundError: There is no store.
        ConfigError: An unknown preset or threshold, one that changes nothing, or ``folder`` holds other files.
        InputError: Nothing is left.
    """
    given = merge(read_yaml(config) if config else {}, changes or {})
    rules = _rules(given if preset is None else {**given, "preset": preset})
    with SqlStore(store, create=False) as database:
        check_folder(database, store, folder, "split")
        known = database.outputs().keys()
        claim_folder(database, store, folder, "split")  # first, so that an erasure finds what a killed call leaves
        try:
            counts = _split(database, folder, rules, pseudonyms)
        except Exception:
            if not folder.exists() and folder.resolve() not in known:
                database.drop_outputs([folder])
            raise
    return SplitReport(config=rules, counts=counts)


def _split(database: SqlStore, folder: Path, rules: SplitConfig, pseudonyms: Path | None) -> SplitCounts:
    if rules.source is not None:
        hashed = Pseudonyms.open(pseudonyms, create=False) if pseudonyms else None
        check_names(database, hashed)
        made = split_as_published(database.review_frame(), published_roles(rules.source, pseudonym=hashed), rules)
        made.save(folder, fingerprint=database.fingerprint())
        return made.counts
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = unfinished_folder(real_path(folder))
    with cleaning_up(), named_errors(folder), unfinished as work, database.reading() as connection:
        scan, items = StoreScan(connection), item_frame(connection)
        return write_split(scan, items, rules, folder, work=work, fingerprint=scan.fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReport:
    """What a split was made with, and what it holds."""

    config: SplitConfig
    counts: SplitCounts


def _rules(settings: Mapping[str, Any]) -> SplitConfig:
    thresholds = {str(name): value for name, value in settings.items() if name != "preset"}
    rules = SplitConfig.preset(str(settings.get("preset", "small")), **thresholds)
    if rules.source is not None and (idle := sorted(map(str, settings.keys() - {"source"}))):
        raise ConfigError(
            f"{', '.join(idle)} would change nothing: the roles of a published data set are taken as they are",
            hint="leave it out, or the data set (source, --from-source)",
        )
    return rules


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReport:
    """A user's opt-out state, without the user's id."""

    peer: bool
    """Whether others may be compared with them."""
    changed: bool
    reviews: int
    """Of theirs in the store."""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def __repr__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """For people."""
        now = "others may be compared" if self.peer else "others are not compared"
        again = "; splits made before are refused: split again, and fit again" if self.changed else ""
        return f"{now} with this user ({self.reviews} reviews){again}"


def set_peer(store: str, user: str, peer: bool | None, *, pseudonyms: Path | None = None) -> PeerReport:
    """Let others be compared with a user, or not.

    Args:
        store: SQLite file or database URL.
        user: The user.
        peer: Whether others may be compared with them; None: unchanged.
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
        return PeerReport(peer=known not in database.opted_out(), changed=changed, reviews=reviews)
