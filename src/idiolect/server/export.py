"""Evaluations as one file that opens in any browser without a server, to send to somebody.

The file holds the studio's page for evaluations, its style and its data. Its policy allows these two alone: it loads
nothing and sends nothing.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from html import escape
from itertools import permutations
from pathlib import Path
from typing import Any

from idiolect.data.output_files import atomic_write, check_output
from idiolect.errors import InputError
from idiolect.server.evaluations import Evaluations, find_evaluations
from idiolect.server.studio import page_files

MODULES = ("methods.js", "dom.js", "format.js", "nav.js", "api.js", "metrics.js", "evaluations.js", "standalone.js")
"""Of the page, each after those that it imports."""
_PAGE = 50
"""Samples per request of the page."""
_MOST_COMPARED = 3
_MARK = "idiolect-evaluations"
_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function |class |const )", re.MULTILINE)


def export_evaluations(folders: Sequence[Path], path: Path) -> int:
    """Write evaluations as one HTML file.

    Args:
        folders: Of evaluations, or folders that hold some.
        path: The file; an earlier export is replaced, anything else is not.

    Returns:
        How many evaluations are in it.

    Raises:
        InputError: There is no finished evaluation.
        OutputError: ``path`` is something else.
    """
    path = check_output(path, ours=_is_ours, what="an export of evaluations")
    names = list(find_evaluations(folders))
    if not names:
        raise InputError("there is no finished evaluation in the folders", hint="name folders of idiolect evaluate")
    text = page(dict(_answers(Evaluations(folders), names)))
    atomic_write(path, lambda part: part.write_text(text, encoding="utf-8"))
    return len(names)


def page(answers: dict[str, Any]) -> str:
    """The page as one document.

    Args:
        answers: What the server would answer, by request (``request_key``).
    """
    files = page_files()
    style, script = files["studio.css"].decode(), script_of(files)
    held = json.dumps(answers, ensure_ascii=False).replace("<", "\\u003c")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="generator" content="{_MARK}">\n'
        f'<meta http-equiv="content-security-policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Evaluations · idiolect</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<main id="main" tabindex="-1"></main><div id="toasts" role="status"></div>\n'
        f'<script type="application/json" id="held">{held}</script>\n<script type="module">{script}</script>\n'
        "</body>\n</html>\n"
    )


def script_of(files: dict[str, bytes]) -> str:
    """The page's modules as one: a file cannot import another where there is no server."""
    parts = [_EXPORT.sub("", _IMPORT.sub("", files[name].decode())) for name in MODULES]
    return "\n".join(parts).replace("</script", "<\\/script")


def request_key(path: str, **query: Any) -> str:
    """What `api.js` looks an answer up by."""
    named = {name: str(query[name]) for name in sorted(query)}
    return f"{path} {json.dumps(named, ensure_ascii=False, separators=(',', ':'))}"


def _answers(evaluations: Evaluations, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    yield request_key("evaluations"), {"evaluations": evaluations.list()}
    for run in names:
        report = evaluations.report(run)
        yield request_key("evaluations/report", run=run), report
        targets = set()
        for condition in (one["name"] for one in report["conditions"] if one["control"] is None):
            total = offset = 0
            while offset == 0 or offset < total:
                found = evaluations.samples(run, condition, offset, _PAGE)
                given = {"run": run, "condition": condition, "offset": offset, "limit": _PAGE}
                yield request_key("evaluations/samples", **given), found
                targets |= {one["target"] for one in found["samples"]}
                total, offset = found["total"], offset + _PAGE
        for target in sorted(targets):
            yield request_key("evaluations/sample", run=run, target=target), evaluations.sample(run, target)
    if len(names) <= _MOST_COMPARED:
        for one, other in permutations(names, 2):
            try:
                yield request_key("evaluations/compare", run=one, **{"with": other}), evaluations.compare(one, other)
            except InputError:  # of other samples
                continue


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return _MARK.encode() in file.read(1000)
