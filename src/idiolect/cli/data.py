"""``idiolect ingest``, ``add``, ``split``, ``embed``, ``peer``, ``correct``, ``forget``, ``export`` and ``import``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from idiolect.api.store import Store
from idiolect.cli.options import (
    OPTIONS,
    Engine,
    Json,
    KeyFile,
    Quiet,
    Set,
    StorePath,
    UserName,
    columns,
    given,
    overrides,
    progress,
    show,
)
from idiolect.config import load
from idiolect.data.parts import STDIN
from idiolect.difference import bulk
from idiolect.erasure.forget import forget_user
from idiolect.errors import ConfigError, NotFoundError
from idiolect.store.embedding import EmbedConfig, embed_store
from idiolect.store.ingestion import IngestConfig, ingest_files
from idiolect.store.parquet import export_folder, import_folder
from idiolect.store.single_review import add_review
from idiolect.store.splitting import SplitReport, set_peer, split_store


def _no_option(_: Any, value: str | None) -> None:
    """``-`` is a place to read from; what else begins so is a mistyped option."""
    if value is not None and value.startswith("-") and value != STDIN:
        raise ValueError(f"unknown option {value!r}")


Place = Annotated[str, Parameter(allow_leading_hyphen=True, validator=_no_option)]


def ingest(
    reviews: Place,
    /,
    *,
    store: StorePath = "idiolect.db",
    items: Place | None = None,
    format: str | None = None,
    columns_: Annotated[Set, Parameter(name="--column")] = (),
    item_columns: Annotated[Set, Parameter(name="--item-column")] = (),
    category: str | None = None,
    max_rejects: float | None = None,
    rejects: Path | None = None,
    pseudonyms: KeyFile = None,
    engine: Engine = None,
    workers: int | None = None,
    config: Path | None = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read reviews (and items) into a store.

    JSON lines, JSON arrays, CSV, Parquet and Arrow, plain or packed (gzip, zstd); Amazon 2014 and 2023, Yelp, DPL-main
    and DPL-meta, LaMP and LongLaMP as they are. Reading a file again changes nothing.

    Args:
        reviews: A file, a folder, a pattern in quotes, - for standard input, or hf://owner/name[/config[/split]].
        store: SQLite file (created if absent) or database URL.
        items: The same of the items, for titles and descriptions; LaMP and LongLaMP hold them with the reviews.
        format: jsonl, json, csv, parquet, arrow, amazon2014, amazon2023, yelp, dpl, lamp or longlamp; detected from the
            content if not given.
        columns_: A field's column in the reviews' file, as field=column (fields: user, item, text, rating, title,
            timestamp, review_id, order; - for no column); may be repeated.
        item_columns: The same for the items' file (item, title, description, category).
        category: Prefix of item ids, for files of several categories in one store.
        max_rejects: Share of rows that may be rejected before the command fails, 0 to 1; half if not given. From
            10,000 rows on it stops where the share is exceeded.
        rejects: File that lists rows that cannot be used; default: next to the reviews.
        pseudonyms: File of a secret key, created if absent: users' ids are hashed with it, so that without the key they
            cannot be read from the store or guessed. Every command that names a user then needs it.
        engine: local (default), or ray: the workers of the cluster at RAY_ADDRESS, else of one that is started on this
            machine, read several files at once.
        workers: Of a Ray cluster; default: one per processor.
        config: YAML file with any of format, columns, item_columns, category, max_rejects, engine and workers.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    flags = given(format=format, category=category, max_rejects=max_rejects, engine=engine, workers=workers)
    flags |= given(columns=columns(columns_), item_columns=columns(item_columns))
    settings = load(IngestConfig, config, flags)
    report = ingest_files(
        reviews, store=store, items=items, rejects=rejects, pseudonyms=pseudonyms, progress=progress(quiet),
        **settings.model_dump(),
    )  # fmt: skip
    # What a file's columns are is no option: "columns: user=reviewerID".
    lines = (line if line.startswith("columns") else OPTIONS.spell(line) for line in report.text.split("\n"))
    show(report.record(), "\n".join(lines), as_json=json)


def add(
    *,
    user: str,
    item: str,
    text: str,
    store: StorePath = "idiolect.db",
    rating: str | None = None,
    title: str = "",
    timestamp: int | None = None,
    id: str | None = None,
    encoder: str = "minilm",
    pseudonyms: KeyFile = None,
    json: Json = False,
) -> None:
    """Add one review to a store, with vector and sums; the next text for the user uses it.

    Splits made before are then refused, because they belong to another state of the store; adapters fitted on them
    still write. To measure again, split and fit again; to measure and serve from the same reviews, keep a copy of the
    file for each.

    Args:
        user: Who wrote it.
        item: What about; a new item is made of its id alone.
        text: What they wrote.
        store: SQLite file (created if absent) or database URL.
        rating: How they rated it.
        title: Its title.
        timestamp: When, in seconds since the epoch; default: now.
        id: The review's own, so that adding it again changes nothing; default: made of its text and time.
        encoder: Whose vectors the store holds.
        pseudonyms: File of the key, where the store knows users by pseudonyms; made for a new store.
        json: Print one JSON object.
    """
    review = add_review(
        store, user=user, item=item, text=text, rating=rating, title=title, timestamp=timestamp, id=id,
        encoder=encoder, pseudonyms=pseudonyms,
    )  # fmt: skip
    show({"review": review.id, "user": user, "item": item}, f"added review {review.id}", as_json=json)


def split(
    *,
    out: Path,
    store: StorePath = "idiolect.db",
    preset: str | None = None,
    from_source: str | None = None,
    config: Path | None = None,
    set: Set = (),
    pseudonyms: KeyFile = None,
    json: Json = False,
) -> None:
    """Choose users and hold out their newest reviews as train, validation and test targets.

    A split is of the store as it is now. After any ingest or add it is refused: split again, and fit again what was
    fitted on it. For a store that grows, keep a copy of the file to measure on.

    Args:
        out: Folder of the split.
        store: SQLite file or database URL.
        preset: small (default), or dpl for the DPL authors' thresholds.
        from_source: The published data set that was ingested (DPL-main, LongLaMP, LaMP; a path or hf://owner/name): its
            own train, validation and test roles are taken as they are, and no threshold applies.
        config: YAML file of thresholds, and of the preset under preset.
        set: A threshold as name=value (min_user_reviews=10); may be repeated.
        pseudonyms: File of the key, if the store knows users by pseudonyms and --from-source is given.
        json: Print one JSON object.
    """
    changes = overrides(set) | given(source=from_source)
    made = split_store(store, out, preset=preset, config=config, changes=changes, pseudonyms=pseudonyms)
    counts = made.counts
    members = counts.members
    undated = (
        f"\n{counts.undated} of these {members} reviews have no timestamp: each counts as older than the dated reviews "
        "of its user, in the order of the file"
        if 0 < counts.undated < members
        else ""
    )
    text = (
        f"{counts.users} users: {counts.profile} profile reviews, {counts.train} train, {counts.validation} validation "
        f"and {counts.test} test targets\n{_came_from(made)}\nsplit in {out}{undated}"
    )
    show({"folder": str(out), **asdict(counts)}, text, as_json=json)


def _came_from(made: SplitReport) -> str:
    counts = made.counts
    if made.config.source is not None:
        absent = f"; {counts.absent} of its reviews are not in the store" if counts.absent else ""
        return f"of {counts.reviews} reviews, {counts.members} have a role in {made.config.source!r}{absent}"
    core = counts.core_rounds[-1] if counts.core_rounds else 0
    rounds = len(counts.core_rounds)
    return f"of {counts.reviews} reviews, {counts.eligible} passed the filters and {core} the k-core ({rounds} rounds)"


def embed(
    *,
    store: StorePath = "idiolect.db",
    encoder: str | None = None,
    split: Path | None = None,
    peers: Literal["corpus", "split"] | None = None,
    batch_size: int | None = None,
    engine: Engine = None,
    workers: int | None = None,
    config: Path | None = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compute the vectors that a store is missing; an interrupted run is resumed.

    Args:
        store: SQLite file or database URL.
        encoder: minilm (default), style, hash, or any sentence-transformers name or folder.
        split: Embed only what this split needs: its users' reviews and the peers' of their items.
        peers: With a split: whose reviews peers are, everybody's or the split's users' (the setting peers of fit).
        batch_size: Texts encoded together; default: 32.
        engine: local (default), or ray: the cluster at RAY_ADDRESS, else one that is started on this machine.
        workers: Of a Ray cluster; default: one per GPU, else one per processor.
        config: YAML file with any of encoder, peers, batch_size, engine and workers.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    settings = load(
        EmbedConfig, config, given(encoder=encoder, peers=peers, batch_size=batch_size, engine=engine, workers=workers)
    )
    report = embed_store(store, split=split, progress=progress(quiet), **settings.model_dump())
    known = f"{report.known} had a vector of {report.encoder}"
    text = f"{report.embedded} reviews embedded in {report.seconds:.1f} s, {known}"
    show(asdict(report), text, as_json=json)


def peer(
    user: UserName,
    /,
    *,
    store: StorePath = "idiolect.db",
    exclude: Annotated[bool | None, Parameter(negative="--include")] = None,
    pseudonyms: KeyFile = None,
    json: Json = False,
) -> None:
    """Show or set whether others may be compared with a user.

    The texts and vectors of an excluded user are in no difference, no norm and no card but their own. Their own history
    is still used for them. Splits made before are then refused: split again, and fit again.

    Args:
        user: The user. An id that begins with -- goes last, after a separate --.
        store: SQLite file or database URL.
        exclude: Do not compare others with them any more; --include allows it again.
        pseudonyms: File of the key, where the store knows users by pseudonyms.
        json: Print one JSON object.
    """
    found = set_peer(store, user, None if exclude is None else not exclude, pseudonyms=pseudonyms)
    show(found.record(), found.text, as_json=json)


def correct(
    user: UserName,
    /,
    *,
    difference: str = "",
    text: str = "",
    undo: Annotated[bool, Parameter(negative="")] = False,
    store: StorePath = "idiolect.db",
    pseudonyms: KeyFile = None,
    json: Json = False,
) -> None:
    """Mute a difference that is claimed of a user, or put their own statement in its place; list what was so changed.

    Cards and every method that writes honour it until it is undone.

    Args:
        user: The user. An id that begins with -- goes last, after a separate --.
        difference: A measure (exclamations) or an attribute (writing/exclamations); without it nothing is changed.
        text: The user's own statement; without it the difference is muted.
        undo: Undo what was said of the difference.
        store: SQLite file or database URL.
        pseudonyms: File of the key, where the store knows users by pseudonyms.
        json: Print one JSON object.
    """
    place = Store(store, pseudonyms=pseudonyms)
    if not difference and (text or undo):
        raise ConfigError("no difference is named", hint="name it: --difference exclamations")
    if undo and text:
        raise ConfigError("a statement cannot be undone and made at once", hint="leave out one of --text and --undo")
    if undo and not place.undo_correction(user, difference):
        raise NotFoundError(f"{difference!r} was neither muted nor corrected", hint=f"idiolect correct {user}")
    if difference and not undo:
        place.correct(user, difference, text)
    found = place.corrections(user)
    lines = [f"{one.difference}: {one.state}" + (f": {one.text}" if one.text else "") for one in found]
    record = [{"difference": one.difference, "state": one.state, "text": one.text} for one in found]
    show({"corrections": record}, "\n".join(lines) or "nothing is muted or corrected", as_json=json)


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
        user: The user. An id that begins with -- goes last, after a separate --.
        store: SQLite file or database URL.
        outputs: Further files and folders that idiolect wrote, where they were moved or are not recorded in the store;
            may be repeated. Rows and files with the user's ids or words are removed from them.
        pseudonyms: File of the key, where the store knows users by pseudonyms.
        json: Print one JSON object.
    """
    receipt = forget_user(store, user, outputs=outputs, pseudonyms=pseudonyms)
    show(receipt.record(), receipt.text, as_json=json)


def export(*, out: Path, store: StorePath = "idiolect.db", json: Json = False) -> None:
    """Write a store as a folder of Parquet files: items, reviews, and each encoder's vectors.

    Args:
        out: Folder of the files; an earlier export there is replaced.
        store: SQLite file or database URL.
        json: Print one JSON object.
    """
    head = export_folder(store, out)
    text = f"{head['reviews']} reviews, {head['items']} items and {len(head['encoders'])} encoders' vectors in {out}"
    show(head, text, as_json=json)


_Folder = Annotated[Path, Parameter(allow_leading_hyphen=False)]


def import_(
    folder: Annotated[Path, Parameter(allow_leading_hyphen=False)],
    /,
    *,
    store: StorePath = "idiolect.db",
    json: Json = False,
) -> None:
    """Read a folder that export wrote into a store; reading it again changes nothing.

    Args:
        folder: Of the Parquet files.
        store: SQLite file (created if absent) or database URL.
        json: Print one JSON object.
    """
    report = import_folder(folder, store)
    added = report.added
    text = f"{added.reviews_added} reviews, {added.items_added} items and {report.vectors} vectors added"
    known = added.reviews_known + added.items_known
    text += f", {known} rows known before" if known else ""
    text += f", {len(added.refused)} rows refused: {added.refused[0][1]}" if added.refused else ""
    record = {"reviews_added": added.reviews_added, "items_added": added.items_added, "vectors_added": report.vectors}
    show({**record, "known": known, "refused": len(added.refused), "equal": report.equal}, text, as_json=json)


def differences(
    export: Path,
    /,
    *,
    out: Path,
    encoder: str | None = None,
    min_peers: int = 1,
    engine: Engine = None,
    workers: int | None = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the sums of items, categories and the corpus, and every review's difference to its peers, as Parquet.

    Out of core: a worker has one bucket of items in memory. A killed run continues. An erasure of a user from the
    export removes the result.

    Args:
        export: Folder of `idiolect export`; every review needs a vector.
        out: New folder, or that of a killed run.
        encoder: Whose vectors; default: the only one.
        min_peers: Fewest users that a review is compared with; with fewer its difference is zero.
        engine: local (default), or ray: the cluster at RAY_ADDRESS, else one that is started on this machine.
        workers: Of a Ray cluster; default: one per processor.
        json: Print one JSON object.
        quiet: Show no progress.
    """
    done = bulk.differences(
        export, out, encoder=encoder, min_peers=min_peers, engine=engine or "local", workers=workers,
        progress=progress(quiet),
    )  # fmt: skip
    text = (
        f"{done.compared} of {done.reviews} reviews compared with their peers; sums of {done.items} items and "
        f"{done.categories} categories, in {done.buckets} buckets\nin {out}"
    )
    show({"folder": str(out), **asdict(done)}, text, as_json=json)
