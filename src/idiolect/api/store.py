"""Stores and splits: reviews in, held-out targets and cards out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from idiolect.data.parts import Parts, default_rejects
from idiolect.data.rejects import REJECTS_SUFFIX
from idiolect.data.split import Split as Members
from idiolect.data.split import SplitCounts
from idiolect.data.tables import is_table, table_parts
from idiolect.engine import EngineName
from idiolect.errors import InputError, NotFoundError
from idiolect.store.embedding import EmbedReport, embed_store
from idiolect.store.ingest_report import IngestReport
from idiolect.store.ingestion import ingest_files
from idiolect.store.single_review import add_review
from idiolect.store.splitting import PeerReport, set_peer, split_store
from idiolect.store.sql import SqlStore, StoreCounts
from idiolect.types import Item, ItemId, Review, UserId

if TYPE_CHECKING:
    from idiolect.diagnostics import Diagnosis
    from idiolect.erasure.forget import Receipt
    from idiolect.explain.layout import Card
    from idiolect.store.base import Correction
    from idiolect.store.parquet import ImportReport

_REVIEW_FIELDS = ("user", "item", "text", "rating", "title", "timestamp", "review_id", "order", "category")


class Store:
    """Reviews of items by users, with vectors and per-item sums, in one SQLite file or a PostgreSQL database.

    The file is made by the first ``add``. Every method opens the store, does its work in one transaction where it
    writes, and closes it again, so a ``Store`` can be shared between threads and kept for as long as the program runs.

    Args:
        path: A path, or ``postgresql://...``.
        pseudonyms: File of the secret key by which users' ids are hashed; made by the first ``add`` if there is none.

    Example:
        >>> import idiolect as idl
        >>> store = idl.Store("people.db")  # doctest: +SKIP
        >>> store.add([{"user": "ann", "item": "tea", "text": "Fine, I suppose."}]).accepted  # doctest: +SKIP
        1
    """

    def __init__(self, path: str | Path, *, pseudonyms: str | Path | None = None) -> None:
        self.path = str(path)
        self.pseudonyms = None if pseudonyms is None else Path(pseudonyms)

    def __repr__(self) -> str:
        if "://" not in self.path and not Path(self.path).is_file():
            return f"Store({self.path!r}, empty)"
        counts = self.counts()
        return f"Store({self.path!r}, {counts.reviews} reviews, {counts.items} items)"

    def __len__(self) -> int:
        """The number of reviews."""
        return self.counts().reviews

    def add(
        self,
        data: Any,
        *,
        items: Any = None,
        user: str | None = None,
        item: str | None = None,
        text: str | None = None,
        rating: str | None = None,
        title: str | None = None,
        timestamp: str | None = None,
        review_id: str | None = None,
        order: str | None = None,
        category: str | None = None,
        item_columns: Mapping[str, str] | None = None,
        format: str = "auto",
        rejects: str | Path | None = None,
        max_rejects: float = 0.5,
        progress: bool = False,
    ) -> IngestReport:
        """Add reviews (and items); the same data again changes nothing.

        Columns are found by their usual names (``user``, ``user_id``, ``reviewerID``, ...); the arguments from ``user``
        to ``category`` name a column where they are not. Rows that cannot be used are counted, and listed with a reason
        in a file; the others are stored.

        Args:
            data: A pandas or polars DataFrame, an Arrow table, a mapping of columns, dicts, ``Review`` objects, or a
                path to any file that the readers know (also a folder, pattern, ``-`` or ``hf://owner/name``).
            items: The same of the items, for titles and descriptions; None if there are none, or the reviews hold them.
            user: Column of the user's id.
            item: Column of the item's id.
            text: Column of the review's text.
            rating: Column of the rating.
            title: Column of the review's title.
            timestamp: Column of the time it was written.
            review_id: Column of the review's id.
            order: Column of the order within equal times.
            category: Column of the item's category, which prefixes item ids.
            item_columns: The column of each field (item, title, description, category) of ``items``.
            format: The format of a file; detected from its content by default.
            rejects: File that lists unusable rows; by default next to the file, or next to the store for a table.
            max_rejects: Share of unusable rows above which an error is raised.
            progress: Show a bar.

        Returns:
            What became of every row: ``read`` is ``accepted`` and ``rejected``; of the accepted, ``added`` are new and
            ``unchanged`` were in the store already, or are in the data twice.

        Raises:
            InputError: The data cannot be read, lacks a column, or too many rows are unusable.
            ConfigError: The store names users otherwise.
        """
        named = (user, item, text, rating, title, timestamp, review_id, order, category)
        columns = {field: name for field, name in zip(_REVIEW_FIELDS, named, strict=True) if name is not None}
        for field, name in columns.items():
            if not isinstance(name, str):
                raise InputError(
                    f"{field} is a {type(name).__name__}, not a column's name", hint=f"pass {field}='NAME'"
                )
        reviews, listed = self._location(data, "table")
        about, _ = (None, None) if items is None else self._location(items, "items")
        return ingest_files(
            reviews,
            store=self.path,
            items=about,
            format=format,
            columns=columns,
            item_columns=item_columns,
            rejects=Path(rejects) if rejects is not None else listed,
            max_rejects=max_rejects,
            pseudonyms=self.pseudonyms,
            progress=progress,
        )

    def add_review(
        self,
        user: str,
        item: str,
        text: str,
        *,
        rating: float | str | None = None,
        title: str = "",
        timestamp: int | str | date | None = None,
        id: str | None = None,
        encoder: str = "minilm",
    ) -> Review:
        """Add one review that a user has just written, with its vector: the next text is written with it.

        Args:
            user: Who wrote it.
            item: What about.
            text: What they wrote.
            rating: Their rating, 0 to 100, or a text such as ``4/5``, which is read as in files.
            title: Its title.
            timestamp: Seconds since 1970, a date, or one in words (ISO 8601); None: now.
            id: Its id; None: made from its content and time, so that the same review twice is one only if both calls
                name the same ``timestamp``.
            encoder: Which encoder's vector is stored; it must be the store's.

        Raises:
            InputError: The store refuses the review.
            ConfigError: The text is empty, or the store has other encoders' vectors only.
        """
        return add_review(
            self.path,
            user=user,
            item=item,
            text=text,
            rating=rating,
            title=title,
            timestamp=timestamp,
            id=id,
            encoder=encoder,
            pseudonyms=self.pseudonyms,
        )

    def embed(
        self,
        encoder: str = "minilm",
        *,
        split: Split | str | Path | None = None,
        peers: Literal["corpus", "split"] = "corpus",
        batch_size: int = 32,
        progress: bool = False,
        engine: EngineName = "local",
        workers: int | None = None,
    ) -> EmbedReport:
        """Compute missing vectors; a second call resumes an interrupted one.

        Args:
            encoder: ``minilm``, ``style``, ``hash``, or any sentence-transformers name or folder.
            split: Embed only what this split needs.
            peers: With a split: whose reviews peers are (the setting ``peers`` of ``fit``).
            batch_size: Texts encoded together.
            progress: Show a bar.
            engine: ``local``, or ``ray``: the cluster at ``RAY_ADDRESS``, else one that is started on this machine.
            workers: Of a Ray cluster; None: one per GPU, else one per processor.
        """
        how = {"peers": peers, "batch_size": batch_size, "progress": progress, "engine": engine, "workers": workers}
        return embed_store(self.path, encoder, split=None if split is None else _folder(split), **how)

    def split(
        self,
        folder: str | Path,
        *,
        preset: str | None = None,
        config: str | Path | None = None,
        source: str | Path | None = None,
        **thresholds: Any,
    ) -> Split:
        """Choose users and hold out their newest reviews as train, validation and test targets.

        Args:
            folder: Where the split is written.
            preset: Thresholds to start from: ``small`` (default), or ``dpl`` for the DPL authors'.
            config: YAML file of thresholds.
            source: A published data set that was added to the store (DPL-main, LongLaMP, LaMP): its own train,
                validation and test roles are taken, and no threshold applies.
            **thresholds: Single thresholds (``min_user_reviews=10``).

        Raises:
            NotFoundError: There is no store.
            InputError: No user is left.
        """
        where = None if config is None else Path(config)
        changes = thresholds if source is None else {**thresholds, "source": str(source)}
        split_store(self.path, Path(folder), preset=preset, config=where, changes=changes, pseudonyms=self.pseudonyms)
        return Split(folder, self)

    def explain(self, user: str, *, config: str | Path | None = None, **settings: Any) -> Card:
        """How a user differs from others who wrote about the same items, with evidence; no model is needed.

        Args:
            user: Whose card.
            config: YAML file of settings.
            **settings: Single settings (``min_effect=0.5``).
        """
        from idiolect.config import load
        from idiolect.explain.card import ExplainConfig
        from idiolect.explain.run import explain_user

        how = load(ExplainConfig, None if config is None else Path(config), settings)
        return explain_user(self.path, user, config=how, pseudonyms=self.pseudonyms)

    def forget(self, user: str, *, outputs: Sequence[str | Path] = ()) -> Receipt:
        """Erase a user for good: texts, vectors, sums, recorded answers, snapshots, rejects and outputs.

        Args:
            user: The user.
            outputs: Further files and folders that were written from the store and moved since.

        Returns:
            What was removed where, and what could not be reached.
        """
        from idiolect.erasure.forget import forget_user

        return forget_user(self.path, user, outputs=[Path(path) for path in outputs], pseudonyms=self.pseudonyms)

    def set_peer(self, user: str, peer: bool | None = None) -> PeerReport:
        """Let others be compared with a user, or not; ``None`` asks how it stands."""
        return set_peer(self.path, user, peer, pseudonyms=self.pseudonyms)

    def correct(self, user: str, difference: str, text: str = "") -> None:
        """Mute a difference that is claimed of a user, or put the user's own statement in its place.

        Cards and ``write`` of every method honour it until it is undone (docs/muting.md); it replaces an earlier one.

        Args:
            user: The user.
            difference: A measure (``exclamations``) or an attribute (``writing/exclamations``).
            text: The statement; empty: the difference is muted.

        Raises:
            NotFoundError: There is no review by the user.
            ConfigError: There is no such difference, or the statement is too long.
        """
        from idiolect.difference.claims.corrections import check_correction
        from idiolect.store.base import Correction

        correction = Correction(difference=difference, text=text.strip())
        check_correction(correction)
        with self.open() as database:
            database.correct(self._known(database, user), correction)

    def undo_correction(self, user: str, difference: str) -> bool:
        """Undo what ``correct`` did; returns whether the difference was muted or corrected."""
        with self.open() as database:
            return database.undo_correction(self._known(database, user), difference)

    def corrections(self, user: str) -> list[Correction]:
        """What the user muted or corrected, by difference."""
        with self.open() as database:
            return database.corrections(self._known(database, user))

    def _known(self, database: SqlStore, user: str) -> UserId:
        from idiolect.store.privacy import user_in

        known = user_in(database, user, self.pseudonyms)
        if not database.wrote(known):
            raise NotFoundError("no review by this user in the store", hint="check the id; ids are case-sensitive")
        return known

    def export(self, folder: str | Path) -> dict[str, Any]:
        """Write the store as Parquet files; returns fingerprint, counts and encoders."""
        from idiolect.store.parquet import export_folder

        return export_folder(self.path, Path(folder))

    def import_export(self, folder: str | Path) -> ImportReport:
        """Read an export into this store, which is made if there is none."""
        from idiolect.store.parquet import import_folder

        return import_folder(Path(folder), self.path)

    def check(self) -> Diagnosis:
        """Look the whole store over: damage, totals, orphans, and every sum computed anew."""
        from idiolect.diagnostics import examine_store

        return examine_store(self.path)

    def counts(self) -> StoreCounts:
        """Numbers of items and reviews, and of reviews with a timestamp."""
        with self.open() as database:
            return database.counts()

    def users(self) -> list[str]:
        """All users' ids, sorted (pseudonyms if the store knows users by them)."""
        with self.open() as database:
            return [str(user) for user in database.users()]

    def profile(self, user: str) -> list[Review]:
        """A user's reviews, oldest first; empty for an unknown user."""
        from idiolect.store.privacy import user_in

        with self.open() as database:
            return database.profile(UserId(user_in(database, user, self.pseudonyms)))

    def item(self, item: str) -> Item | None:
        """An item with its title and description; None if the store does not know it."""
        with self.open() as database:
            return database.items([ItemId(item)]).get(ItemId(item))

    def open(self) -> SqlStore:
        """The database itself, for what this class has no method for; close it, or use it in a ``with`` block.

        Raises:
            NotFoundError: There is no store yet.
        """
        return SqlStore(self.path, create=False)

    def _location(self, data: Any, name: str) -> tuple[Any, Path]:
        """What the readers take, and where unusable rows are listed by default."""
        if not is_table(data):
            return data, default_rejects(data)
        if isinstance(data, Parts):
            return data, self._rejects(name)
        return table_parts(_as_rows(data), name), self._rejects(name)

    def _rejects(self, name: str) -> Path:
        if "://" in self.path:
            return Path(f"{name}{REJECTS_SUFFIX}")
        return Path(f"{self.path}.{name}{REJECTS_SUFFIX}")


def path_of(store: Store | str | Path) -> str:
    """Path or URL of a store, however it is given."""
    return store.path if isinstance(store, Store) else str(store)


class Split:
    """Which review of which user is profile and which is a target, with the store it was made from.

    Args:
        path: Folder that ``Store.split`` (or ``idiolect split``) wrote.
        store: The store.

    Raises:
        NotFoundError: There is no split in the folder, or no store.
        ArtifactError: The store has changed since.
    """

    def __init__(self, path: str | Path, store: Store | str | Path) -> None:
        self.path = _folder(path)
        self.store = store if isinstance(store, Store) else Store(store)
        with self.store.open() as database:
            self._members = Members.load(self.path, fingerprint=database.fingerprint())

    def __repr__(self) -> str:
        c = self.counts
        return (
            f"Split({str(self.path)!r}, {c.users} users: {c.profile} profile reviews, {c.train} train, "
            f"{c.validation} validation and {c.test} test targets)"
        )

    @property
    def counts(self) -> SplitCounts:
        """Numbers of users, profile reviews and targets, and what the filters left."""
        return self._members.counts

    @property
    def users(self) -> list[str]:
        """The users, in the split's order."""
        return [str(user) for user in self._members.users]

    def ids(self, *roles: Literal["profile", "train", "validation", "test"]) -> list[str]:
        """The ids of the reviews of these roles."""
        return [str(id) for id in self._members.ids(*roles)]


def _folder(split: Split | str | Path) -> Path:
    return split.path if isinstance(split, Split) else Path(split)


def _as_rows(data: Any) -> Any:
    """``Review`` and ``Item`` objects as rows; anything else as it is."""
    if isinstance(data, Iterable) and not hasattr(data, "__arrow_c_stream__") and not isinstance(data, Mapping):
        listed = data if isinstance(data, list) else list(data) if not hasattr(data, "to_dict") else data
        if isinstance(listed, list) and listed and isinstance(listed[0], (Review, Item)):
            return [_row(one) for one in listed]
        return listed
    return data


def _row(one: object) -> dict[str, Any]:
    if isinstance(one, Review):
        names = ("user", "item", "text", "rating", "title", "timestamp", "order")
        return {"review_id": one.id, **{name: getattr(one, name) for name in names}}
    if isinstance(one, Item):
        return {"item": one.id, "title": one.title, "description": one.description, "category": one.category}
    raise InputError(f"a row is a {type(one).__name__}", hint="pass Review objects, or dicts, not both")


def check_split(split: object) -> None:
    """Refuse anything but a ``Split``.

    Raises:
        InputError: It is something else, such as the path of a split's folder.
    """
    if not isinstance(split, Split):
        raise InputError(
            f"a split is needed, not {type(split).__name__}", hint="pass store.split(FOLDER), or Split(FOLDER, store)"
        )
