"""``idiolect doctor``."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from idiolect.cli.options import Json, show
from idiolect.errors import ArtifactError
from idiolect.experiments.doctor import examine, examine_store


def doctor(*, store: Annotated[str | None, Parameter(name="--store")] = None, json: Json = False) -> None:
    """Say what works on this machine and what is missing, with the line that mends it; or look a store over.

    A store that is not in order ends with exit code 5.

    Args:
        store: SQLite file or database URL: its pages, totals, fingerprint, vectors and sums, every row read.
        json: Print one JSON object.
    """
    checks = examine() if store is None else examine_store(store)
    bad = "missing" if store is None else "wrong"
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{'ok' if check.ok else bad:7}  {check.name.ljust(width)}  {check.detail}")
        if not check.ok:
            lines.append(" " * (width + 11) + check.remedy)
    record = {check.name: {"ok": check.ok, "detail": check.detail, "remedy": check.remedy} for check in checks}
    show(record, "\n".join(lines), as_json=json)
    if store is not None and not all(check.ok for check in checks):
        sys.exit(ArtifactError.exit_code)
