"""``idiolect doctor``."""

from __future__ import annotations

from idiolect.cli.options import Json, show
from idiolect.experiments.doctor import examine


def doctor(*, json: Json = False) -> None:
    """Say what works on this machine and what is missing, with the line that mends it.

    Args:
        json: Print one JSON object.
    """
    checks = examine()
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{'ok     ' if check.ok else 'missing'}  {check.name.ljust(width)}  {check.detail}")
        if not check.ok:
            lines.append(" " * (width + 11) + check.remedy)
    record = {check.name: {"ok": check.ok, "detail": check.detail, "remedy": check.remedy} for check in checks}
    show(record, "\n".join(lines), as_json=json)
