"""A table that was run, with the published figures: text, Markdown, LaTeX, CSV and plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from idiolect.evaluation.render import escape, is_marked, plain, write_csv
from idiolect.evaluation.report import Cell, table_notes
from idiolect.experiments.tables.engine import Found
from idiolect.experiments.tables.spec import METRIC_TITLES, TITLES


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One figure: ours and the published one."""

    value: float | None = None
    """Ours; None: not run."""
    low: float | None = None
    high: float | None = None
    deviation: float | None = None
    """Standard deviation over seeds."""
    rank: int = 0
    """1: the best of its column, 2: the second, 0: any other."""
    marked: bool = False
    """Differs significantly from the baseline."""
    p: float | None = None
    """Of the difference, corrected."""
    published: float | None = None
    """None: not available."""
    published_rank: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A data set's, or a group's, part of a table."""

    title: str
    key: str
    columns: tuple[str, ...]
    """Metrics."""
    decimals: tuple[int, ...]
    greater_is_better: tuple[bool, ...]
    rows: tuple[tuple[str, tuple[Entry, ...]], ...]
    samples: int
    users: int
    notes: tuple[str, ...]


def blocks(found: Found) -> tuple[Block, ...]:
    """The table, data set by data set, in the order of the paper's rows."""
    return tuple(_block(found, key) for key in found.scores)


def _block(found: Found, key: str) -> Block:
    table = found.scores[key]
    names = [column.name for column in table.columns]
    dataset, _, group = key.partition(", ")
    ids = {row.name for row in found.spec.rows}
    known = {} if group else {row: own.get(dataset, {}) for row, own in found.published.items() if row in ids}
    names += [name for name in found.spec.metrics if name not in names and any(name in own for own in known.values())]
    names.sort(key=lambda name: _place(found.spec.metrics, name))
    better = {column.name: column.greater_is_better for column in table.columns}
    ours = {
        row.method: {column.name: cell for column, cell in zip(table.columns, row.cells, strict=True) if cell}
        for row in table.rows
    }
    ranks = {
        name: _ranks({row: own[name].score.value for row, own in ours.items() if name in own}, better.get(name, True))
        for name in names
    }
    published_ranks = {
        name: _ranks({row: own[name] for row, own in known.items() if name in own}, better.get(name, True))
        for name in names
    }
    rows = tuple(
        (
            row.name,
            tuple(
                _entry(
                    ours.get(row.name, {}).get(name),
                    found.deviations.get((key, row.name, name)),
                    ranks[name].get(row.name, 0),
                    known.get(row.name, {}).get(name),
                    published_ranks[name].get(row.name, 0),
                )
                for name in names
            ),
        )
        for row in found.spec.rows
    )
    return Block(
        title=TITLES.get(dataset, dataset) + (f", {group}" if group else ""),
        key=key,
        columns=tuple(names),
        decimals=tuple(_decimals([entries[k] for _, entries in rows]) for k in range(len(names))),
        greater_is_better=tuple(better.get(name, True) for name in names),
        rows=rows,
        samples=table.segments,
        users=table.units,
        notes=tuple(table_notes(table)),
    )


def _place(metrics: Sequence[str], name: str) -> int:
    return metrics.index(name) if name in metrics else len(metrics)


def _entry(
    cell: Cell | None, deviation: float | None, rank: int, published: float | None, published_rank: int
) -> Entry:
    if cell is None:
        return Entry(published=published, published_rank=published_rank)
    value, low, high = cell.score
    return Entry(
        value=value,
        low=low,
        high=high,
        deviation=deviation,
        rank=rank,
        marked=is_marked(cell),
        p=cell.p_holm,
        published=published,
        published_rank=published_rank,
    )


def _ranks(values: dict[str, float], greater_is_better: bool) -> dict[str, int]:
    """1 for the best and 2 for the second; equal values share a rank. None of fewer than two."""
    if len(values) < 2:
        return {}
    ranked = sorted(set(values.values()), reverse=greater_is_better)[:2]
    return {row: ranked.index(value) + 1 for row, value in values.items() if value in ranked}


def _decimals(entries: Sequence[Entry]) -> int:
    values = [value for entry in entries for value in (entry.value, entry.published) if value is not None]
    return 4 if all(abs(value) <= 1 for value in values) else 2


Mark = Callable[[str, int], str]
"""Shows a number by its rank."""


def _ours(entry: Entry, decimals: int, mark: Mark, dagger: str = "†", around: str = "±") -> str:
    if entry.value is None:
        return "-"
    text = mark(f"{entry.value:.{decimals}f}", entry.rank) + (dagger if entry.marked else "")
    return text if entry.deviation is None else f"{text} {around} {entry.deviation:.{decimals}f}"


def _theirs(entry: Entry, mark: Mark) -> str:
    return "n/a" if entry.published is None else mark(f"{entry.published:.4f}", entry.published_rank)


def title_of(metric: str) -> str:
    """A metric as the papers head its column."""
    return METRIC_TITLES.get(metric, metric)


def grid(
    block: Block, mark: Mark, *, dagger: str = "†", around: str = "±", arrows: tuple[str, str] = ("↑", "↓")
) -> list[list[str]]:
    """A block as text, header first: for every metric our figure and, where any is known, the published one."""
    shown = [any(entries[k].published is not None for _, entries in block.rows) for k in range(len(block.columns))]
    head = ["row"]
    for name, up, both in zip(block.columns, block.greater_is_better, shown, strict=True):
        head += [f"{title_of(name)} {arrows[not up]}", *(["published"] if both else [])]
    lines = [head]
    for name, entries in block.rows:
        line = [name]
        for entry, decimals, both in zip(entries, block.decimals, shown, strict=True):
            line += [_ours(entry, decimals, mark, dagger, around), *([_theirs(entry, mark)] if both else [])]
        lines.append(line)
    return lines


def to_text(found: Found) -> str:
    """For a terminal: the best between asterisks, the second between underscores."""
    parts = [found.spec.title]
    for block in blocks(found):
        cells = grid(block, lambda text, rank: {1: f"*{text}*", 2: f"_{text}_"}.get(rank, text))
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in cells]
        parts.append("\n".join([block.title, "", lines[0], "  ".join("-" * width for width in widths), *lines[1:]]))
    return "\n\n".join([*parts, "\n".join(notes(found, best="*best*", second="_second_"))])


def to_markdown(found: Found) -> str:
    """Markdown: the best bold, the second underlined."""
    parts = [f"# {plain(found.spec.title)}"]
    for block in blocks(found):
        cells = grid(block, lambda text, rank: {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(rank, text))
        lines = [_line([plain(row[0]), *row[1:]]) for row in cells]
        rule = _line(["---", *["---:"] * (len(cells[0]) - 1)])
        parts.append("\n".join([f"## {plain(block.title)}", "", lines[0], rule, *lines[1:]]))
    said = [f"- {plain(note)}" for note in notes(found, best="bold", second="underlined")]
    return "\n\n".join([*parts, "\n".join(said)]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def to_latex(found: Found) -> str:
    r"""A ``tabular`` with the rules of ``booktabs`` for every data set; notes as comments."""
    out = [f"% {line}" for line in notes(found, best="bold", second="underlined")]
    for block in blocks(found):
        cells = grid(
            block,
            lambda text, rank: {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(rank, text),
            dagger=r"$^\dagger$",
            around=r"$\pm$",
            arrows=(r"$\uparrow$", r"$\downarrow$"),
        )
        lines = [[escape(row[0]), *row[1:]] for row in cells]
        out += [
            f"% {escape(block.title)}",
            rf"\begin{{tabular}}{{l{'r' * (len(cells[0]) - 1)}}}",
            r"\toprule",
            rf"{' & '.join(lines[0])} \\",
            r"\midrule",
            *(rf"{' & '.join(row)} \\" for row in lines[1:]),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    return "\n".join(out) + "\n"


FIELDS = (
    "table", "profile", "dataset", "row", "metric", "value", "low", "high", "deviation", "rank", "p_holm", "baseline",
    "seeds", "samples", "published",
)  # fmt: skip


def to_csv(found: Found) -> str:
    """A line for every figure, ours or published."""
    return write_csv([FIELDS, *_lines(found)])


def _lines(found: Found) -> Iterator[list[object]]:
    for block in blocks(found):
        for row, entries in block.rows:
            for metric, one in zip(block.columns, entries, strict=True):
                if one.value is not None or one.published is not None:
                    numbers = (one.value, one.low, one.high, one.deviation, one.rank, one.p)
                    about = (found.spec.baseline, len(found.profile.seeds), block.samples, one.published)
                    yield [found.name, found.profile.name, block.key, row, metric, *numbers, *about]


def to_dict(found: Found) -> dict[str, Any]:
    """Plain data: everything that the formats show."""
    return {
        "name": found.name,
        "title": found.spec.title,
        "kind": found.spec.kind,
        "x_title": found.spec.x_title,
        "profile": found.profile.model_dump(mode="json"),
        "baseline": found.spec.baseline,
        "source": found.source,
        "blocks": [asdict(block) for block in blocks(found)],
        "rows": {row.name: {"x": row.x, "series": row.series} for row in found.spec.rows},
        "notes": notes(found, best="bold", second="underlined"),
        "seconds": round(found.seconds, 1),
    }


def notes(found: Found, *, best: str, second: str) -> list[str]:
    """The notes below a table."""
    one = next(iter(blocks(found)), None)
    seeds = found.profile.seeds
    lines = [
        f"{best}, {second} of each column, ours and published apart; published: {found.source}; n/a: not available."
    ]
    if one is not None:
        lines += list(one.notes)
    plural, pooled = ("", "") if len(seeds) == 1 else ("s", ", pooled; after ± the standard deviation over seeds")
    lines.append(f"Profile {found.profile.name}, {len(seeds)} seed{plural} ({', '.join(map(str, seeds))}){pooled}.")
    return [*lines, *found.notes]
