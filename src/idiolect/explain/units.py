"""The report on an adapter's autoencoder: how sparse it is, and what each unit means.

Nothing is claimed of a unit from its top reviews alone: its label has a detection score on other users' reviews, and
with a split the report says what the targets lose when the unit is silenced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from idiolect.errors import ConfigError, require, visible
from idiolect.evaluation.significance import Interval
from idiolect.explain.labels import detect, read_words
from idiolect.explain.latent import (
    Codes,
    LatentConfig,
    StreamStatistics,
    UnitStatistics,
    closest_measures,
    collect,
    unit_statistics,
)
from idiolect.pipeline.adapters import read_record
from idiolect.store.sql import SqlStore
from idiolect.types import ReviewId, Stream

_SHOWN_CHARS = 160
"""Characters of a review in text and Markdown; the record has all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopReview:
    """A review in which a unit is strong, and a peer's review of the same item in which it is weakest."""

    review: ReviewId
    user: str
    item: str
    code: float
    text: str
    peers_mean: float | None
    """Mean code of the peers' reviews of the item; None: it has none."""
    peer_text: str | None = None
    peer_code: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit of the code; see ``UnitStatistics`` and ``Detection`` for the figures."""

    number: int
    active: float
    shift: float
    user_share: float
    item_share: float
    contrast: float
    label: tuple[str, ...]
    auc: float | None
    auc_sd: float | None
    pairs: int
    style: tuple[tuple[str, float], ...]
    """Measures of style and Spearman's correlation with each."""
    top: tuple[TopReview, ...]
    silenced: Interval | None = None
    """Nats per held-out review that are lost when the unit is silenced, with a 95 % interval over users; None: no split
    was given."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LatentReport:
    """What an adapter's autoencoder does with a store's reviews. Unlike a card it shows texts of many users."""

    adapter: str
    stream: Stream
    """Whose codes the units are looked at in."""
    streams: tuple[StreamStatistics, ...]
    width: int
    reviews: int
    users: int
    items: int
    units: tuple[Unit, ...]
    targets: int = 0
    """Held-out targets whose likelihood was computed."""

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    @property
    def text(self) -> str:
        """Plain text, control characters escaped."""
        return "\n".join(visible(line) for line in _lines(self))

    def to_markdown(self) -> str:
        """The same as Markdown."""
        return "\n".join(_markdown(self)) + "\n"

    def record(self) -> dict[str, Any]:
        """Plain lists, dicts, numbers and strings."""
        return asdict(self) | {"units": [_unit_record(unit) for unit in self.units]}


def _unit_record(unit: Unit) -> dict[str, Any]:
    silenced = None if unit.silenced is None else unit.silenced._asdict()
    return asdict(unit) | {"silenced": silenced, "style": dict(unit.style)}


def inspect_adapter(
    store: str,
    folder: Path,
    *,
    split: Path | None = None,
    config: LatentConfig | None = None,
    changes: Mapping[str, Any] | None = None,
    backbone: str | None = None,
    encoder: str | None = None,
    progress: bool = False,
) -> LatentReport:
    """Look at the units of a fitted adapter on the reviews of a store.

    Args:
        store: SQLite file or database URL, with vectors of the adapter's encoder.
        folder: Of the adapter.
        split: Whose held-out targets show what is lost when a unit is silenced; None: no language model is loaded.
        config: None: the defaults.
        changes: Settings of the run, with a split.
        backbone: The model, where the adapter does not name it, with a split.
        encoder: The same for the encoder.
        progress: Show bars.

    Raises:
        NotFoundError: There is no store or adapter, or too few reviews with vectors.
        ConfigError: The adapter has no autoencoder, or no such unit or stream.
        ArtifactError: The adapter is damaged or of another method.
    """
    config = config or LatentConfig()
    with SqlStore(store, create=False) as database:
        codes, streams, found = look_at(database, folder, config)
    numbers = chosen_units(found, config)
    silenced: dict[int, Interval] = {}
    targets = 0
    if split is not None:
        from idiolect.explain.silence import silence

        silenced, targets = silence(
            store, split, folder, numbers, samples=config.samples, seed=config.seed, changes=changes, backbone=backbone,
            encoder=encoder, progress=progress,
        )  # fmt: skip
    return make_report(folder.name, codes, streams, found, config, numbers=numbers, silenced=silenced, targets=targets)


def look_at(
    database: SqlStore, folder: Path, config: LatentConfig
) -> tuple[Codes, tuple[StreamStatistics, ...], UnitStatistics]:
    """The codes of a store's reviews under a fitted adapter, and statistics of streams and units; no language model.

    Raises:
        See ``inspect_adapter``.
    """
    require("torch", extra="train")
    from idiolect.softprompt.adapter import Adapter

    record, adapter = read_record(folder), Adapter.from_pretrained(folder)
    context = record.settings.get("context")
    least = context.get("min_peers") if isinstance(context, Mapping) else None
    min_peers = least if isinstance(least, int) else 1
    codes, streams = collect(database, adapter, record.names["encoder"], config, min_peers=min_peers)
    return codes, streams, unit_statistics(codes, adapter, config)


def chosen_units(found: UnitStatistics, config: LatentConfig) -> tuple[int, ...]:
    """The units that are shown: those asked for, or those whose silence changes the soft prompts most.

    Raises:
        ConfigError: There is no such unit.
    """
    width = len(found.active)
    for unit in config.units:
        if not 0 <= unit < width:
            raise ConfigError(f"the adapter has no unit {unit}", hint=f"its units are 0 to {width - 1}")
    return config.units or tuple(np.argsort(-found.shift, kind="stable")[: config.shown].tolist())


def make_report(
    name: str,
    codes: Codes,
    streams: tuple[StreamStatistics, ...],
    found: UnitStatistics,
    config: LatentConfig,
    *,
    numbers: Sequence[int],
    silenced: Mapping[int, Interval] | None = None,
    targets: int = 0,
) -> LatentReport:
    """Label the chosen units and put everything together.

    Args:
        name: Of the adapter.
        codes: Of one stream.
        streams: What the autoencoder does on each.
        found: Of all units.
        config: How labels are made.
        numbers: The units.
        silenced: Nats lost by unit; None: not computed.
        targets: From how many targets.
    """
    some = list(numbers)
    words = read_words(codes.texts, codes.users, min_users=config.min_users)
    labels = detect(
        words, found.strong[:, some], found.weak[:, some], codes.users, codes.items,
        size=config.words, halves=config.halves, seed=config.seed,
    )  # fmt: skip
    units = tuple(
        Unit(
            number=unit,
            **{
                field: float(getattr(found, field)[unit])
                for field in ("active", "shift", "user_share", "item_share", "contrast")
            },
            label=label.words,
            auc=detection.auc,
            auc_sd=detection.sd,
            pairs=detection.pairs,
            style=closest_measures(found.style, unit),
            top=tuple(_top(codes, found, unit, config.top)),
            silenced=(silenced or {}).get(unit),
        )
        for unit, (label, detection) in zip(some, labels, strict=True)
    )
    return LatentReport(
        adapter=name,
        stream=codes.stream,
        streams=streams,
        width=codes.code.shape[1],
        reviews=len(codes.ids),
        users=len(np.unique(codes.users)),
        items=len(np.unique(codes.items)),
        units=units,
        targets=targets,
    )


def _top(codes: Codes, found: UnitStatistics, unit: int, most: int) -> Iterator[TopReview]:
    """The reviews with the highest code, one per user."""
    own, seen = codes.code[:, unit], set[int]()
    for row in np.argsort(-own, kind="stable").tolist():
        if len(seen) == most or not codes.active[row, unit]:
            return
        user = int(codes.users[row])
        if user in seen:
            continue
        seen.add(user)
        peers = np.flatnonzero((codes.items == codes.items[row]) & (codes.users != user))
        weakest = None if not len(peers) else int(peers[np.argmin(own[peers])])
        mean = float(found.peers[row, unit])
        yield TopReview(
            review=codes.ids[row],
            user=codes.names[row],
            item=codes.item_ids[row],
            code=float(own[row]),
            text=codes.texts[row],
            peers_mean=None if np.isnan(mean) else mean,
            peer_text=None if weakest is None else codes.texts[weakest],
            peer_code=None if weakest is None else float(own[weakest]),
        )


def clip(text: str) -> str:
    """A review on one line, cut to what a report shows."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else f"{line[: _SHOWN_CHARS - 1]}…"


STREAM_HEAD = ("stream", "rows", "L0", "explained variance", "dead", "dense")


def stream_rows(report: LatentReport) -> list[tuple[str, ...]]:
    """The table of the streams, without its head."""
    return [
        (
            one.stream, f"{one.rows:,}", f"{one.l0:.1f}", f"{one.explained_variance:.2f}",
            f"{len(one.dead)} of {report.width}", f"{len(one.dense)} of {report.width}",
        )
        for one in report.streams
    ]  # fmt: skip


def headline(report: LatentReport) -> str:
    """What was looked at, in one sentence."""
    return (
        f"{report.width} units, stream {report.stream}: {report.reviews:,} reviews by {report.users:,} users about "
        f"{report.items:,} items"
    )


def label_line(unit: Unit) -> str:
    """A unit's label and how well it is detected."""
    if not unit.label:
        return "no word sets its reviews apart from peers' reviews of the same items"
    words = ", ".join(f'"{word}"' for word in unit.label)
    if unit.auc is None:
        return f"{words} (not tested: {unit.pairs} pairs of held-out texts)"
    spread = "" if unit.auc_sd is None else f" ± {unit.auc_sd:.2f}"
    return f"{words} (AUC {unit.auc:.2f}{spread} on held-out users, {unit.pairs:,} same-item pairs)"


def figure_lines(report: LatentReport, unit: Unit) -> Iterator[str]:
    """A unit's figures, in words."""
    yield (
        f"active in {unit.active:.0%} of reviews; silenced, soft prompts change by {unit.shift:.1%}; "
        f"{unit.user_share:.0%} of its variance is between users, {unit.item_share:.0%} between items; where strong, "
        f"{unit.contrast:+.1f} sd above peers of the same item"
    )
    if unit.style:
        yield "style: " + ", ".join(f"{name} {rho:+.2f}" for name, rho in unit.style)
    if unit.silenced is not None:
        value, low, high = unit.silenced
        span = f"{value:+.3f} nats per held-out review [{low:+.3f}, {high:+.3f}]"
        yield f"silenced: {span}, of {report.targets}; above 0 the unit helps"


def review_lines(top: TopReview) -> Iterator[str]:
    """A top review and the peer that is least like it."""
    peers = "" if top.peers_mean is None else f", peers {top.peers_mean:.2f}"
    yield f"{top.user} on {top.item} ({top.code:.2f}{peers}): {clip(top.text)}"
    if top.peer_text is not None:
        yield f"  a peer ({top.peer_code:.2f}): {clip(top.peer_text)}"


def _lines(report: LatentReport) -> Iterator[str]:
    yield f"Units of the adapter {report.adapter}"
    yield headline(report)
    yield ""
    table = [STREAM_HEAD, *stream_rows(report)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    yield from ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)
    for unit in report.units:
        yield ""
        yield f"unit {unit.number}: {label_line(unit)}"
        yield from (f"    {line}" for line in figure_lines(report, unit))
        yield from (f"    {line}" for top in unit.top for line in review_lines(top))


def _markdown(report: LatentReport) -> Iterator[str]:
    from idiolect.explain.layout import escape

    yield f"# Units of the adapter {escape(report.adapter)}"
    yield f"\n{headline(report)}\n"
    yield f"| {' | '.join(STREAM_HEAD)} |"
    yield "|---|---:|---:|---:|---:|---:|"
    yield from (f"| {' | '.join(row)} |" for row in stream_rows(report))
    for unit in report.units:
        yield f"\n## Unit {unit.number}\n\n{escape(label_line(unit))}\n"
        yield from (f"- {escape(line)}" for line in figure_lines(report, unit))
        yield from (f"- {escape(line.strip())}" for top in unit.top for line in review_lines(top))
