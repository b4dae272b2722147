"""One self-contained HTML page of all tables in a folder: no script, no link to anywhere, every text escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from idiolect.errors import visible
from idiolect.experiments.tables.render import title_of
from idiolect.explain.units import clip

Record = Mapping[str, Any]
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #777; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1rem; }
h2, h3 { line-height: 1.25; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0 1.2rem; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th:first-child, td:first-child { text-align: left; }
td.text { text-align: left; white-space: pre-wrap; min-width: 15rem; }
.published, .notes, .span { color: var(--quiet); } .span { font-size: .8em; }
.best { font-weight: bold; } .second { text-decoration: underline; }
img { max-width: 100%; background: white; }
nav a { margin-right: 1rem; }
"""


def page(records: Sequence[Record], figures: Mapping[str, Path]) -> str:
    """The report of tables that were run.

    Args:
        records: Of each table, from ``render.to_dict`` with ``samples``, ``controls``, ``cost`` and ``units``.
        figures: SVG files by table.
    """
    links = " ".join(f'<a href="#{_id(one["name"])}">{_text(one["name"])}</a>' for one in records)
    parts = [f"<section>{''.join(_section(one, figures.get(one['name'])))}</section>" for one in records]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Tables and figures</title><style>{_STYLE}</style></head><body>"
        f"<h1>Tables and figures</h1><nav>{links}</nav>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _text(value: object) -> str:
    """Text of users or models: no markup, and nothing that a page or terminal obeys."""
    return escape(visible(str(value)), quote=True)


def _id(name: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in name)


def _section(record: Record, figure: Path | None) -> Iterator[str]:
    yield f'<h2 id="{_id(record["name"])}">{_text(record["title"])}</h2>'
    for block in record["blocks"]:
        yield f"<h3>{_text(block['title'])}</h3>{_table(block)}"
    if figure is not None and figure.is_file():
        data = base64.b64encode(figure.read_bytes()).decode("ascii")
        yield f'<p><img alt="{_text(record["title"])}" src="data:image/svg+xml;base64,{data}"></p>'
    yield f'<ul class="notes">{"".join(f"<li>{_text(note)}</li>" for note in record["notes"])}</ul>'
    yield from _samples(record.get("samples", ()))
    if record.get("controls"):
        yield f"<h3>Controls</h3>{_plain_table(_CONTROLS, record['controls'])}"
    if record.get("units"):
        yield from _units(record["units"])
    if record.get("cost"):
        yield f"<h3>Cost</h3>{_plain_table(_COST, record['cost'])}"


def _table(block: Record) -> str:
    shown = [
        any(entries[k]["published"] is not None for _, entries in block["rows"]) for k in range(len(block["columns"]))
    ]
    head = ["<th>row</th>"]
    for name, up, both in zip(block["columns"], block["greater_is_better"], shown, strict=True):
        head.append(f"<th>{_text(title_of(name))} {'↑' if up else '↓'}</th>")
        head += ['<th class="published">published</th>'] if both else []
    lines = [f"<tr>{''.join(head)}</tr>"]
    for name, entries in block["rows"]:
        cells = [f"<td>{_text(name)}</td>"]
        for entry, decimals, both in zip(entries, block["decimals"], shown, strict=True):
            cells.append(f"<td>{_ours(entry, decimals)}</td>")
            cells += [f'<td class="published">{_theirs(entry)}</td>'] if both else []
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _ranked(text: str, rank: int) -> str:
    kind = {1: "best", 2: "second"}.get(rank)
    return f'<span class="{kind}">{text}</span>' if kind else text


def _ours(entry: Record, decimals: int) -> str:
    if entry["value"] is None:
        return "-"
    shown = _ranked(f"{entry['value']:.{decimals}f}", entry["rank"]) + ("†" if entry["marked"] else "")
    spread = "" if entry["deviation"] is None else f" ± {entry['deviation']:.{decimals}f}"
    return f'{shown}{spread} <span class="span">[{entry["low"]:.{decimals}f}, {entry["high"]:.{decimals}f}]</span>'


def _theirs(entry: Record) -> str:
    return "n/a" if entry["published"] is None else _ranked(f"{entry['published']:.4f}", entry["published_rank"])


def _samples(samples: Sequence[Record]) -> Iterator[str]:
    if samples:
        yield "<h3>Samples side by side</h3>"
    for one in samples:
        rows = [("the user's own", one["reference"]), *one["texts"].items()]
        cells = "".join(f'<tr><td>{_text(name)}</td><td class="text">{_text(text)}</td></tr>' for name, text in rows)
        about = f"{one['item']}: {one['title']}" if one["title"] else one["item"]
        yield f'<p>{_text(about)}</p><div class="wide"><table>{cells}</table></div>'


def _units(record: Record) -> Iterator[str]:
    """What the units of an adapter's sparse code mean (``explain.units``)."""
    yield f"<h3>Units of the sparse code: {_text(record['adapter'])}</h3>"
    yield f"<p>{_text(record['reviews'])} reviews by {_text(record['users'])} users; units of the stream "
    yield f"{_text(record['stream'])}; detection is of same-item pairs of held-out users, 0.5 is chance.</p>"
    yield _plain_table(
        ("stream", "rows", "L0", "explained variance", "dead", "dense"),
        [
            {
                "stream": one["stream"],
                "rows": one["rows"],
                "L0": f"{one['l0']:.1f}",
                "explained variance": f"{one['explained_variance']:.2f}",
                "dead": f"{len(one['dead'])} of {record['width']}",
                "dense": f"{len(one['dense'])} of {record['width']}",
            }
            for one in record["streams"]
        ],
    )
    yield _plain_table(_UNITS, [_unit(one) for one in record["units"]])


def _unit(one: Record) -> Record:
    share = {"active": "active", "soft prompt": "shift", "between users": "user_share", "between items": "item_share"}
    style = ", ".join(f"{name} {rho:+.2f}" for name, rho in one["style"].items())
    top = one["top"][0] if one["top"] else {"text": "", "peer_text": None}
    return {
        "unit": one["number"],
        "label": ", ".join(one["label"]) or "none",
        "AUC": "-" if one["auc"] is None else f"{one['auc']:.2f}",
        "style": style,
        "strongest in": clip(top["text"]),
        "a peer on the same item": clip(top["peer_text"] or ""),
        **{title: f"{one[name]:.0%}" for title, name in share.items()},
    }


_LONG = 40
"""Characters from which a cell is text, set from the left."""
_UNITS = (
    *("unit", "label", "AUC", "active", "soft prompt", "between users", "between items", "style"),
    *("strongest in", "a peer on the same item"),
)
_CONTROLS = ("row", "control", "nats worse", "low", "high", "p")
_COST = (
    *("row", "seed", "seconds", "processor seconds", "calls", "prompt tokens", "completion tokens"),
    *("trained", "trained share", "s an epoch"),
)


def _plain_cell(value: object) -> str:
    kind = ' class="text"' if len(str(value)) > _LONG else ""
    return f"<td{kind}>{_text(value)}</td>"


def _plain_table(head: Sequence[str], rows: Sequence[Record]) -> str:
    lines = ["".join(f"<th>{_text(name)}</th>" for name in head)]
    lines += ["".join(_plain_cell(row.get(name, "")) for name in head) for row in rows]
    return f'<div class="wide"><table>{"".join(f"<tr>{line}</tr>" for line in lines)}</table></div>'
