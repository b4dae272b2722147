"""The oldest version of every dependency that pyproject.toml allows: `python tools/oldest.py > constraints-min.txt`."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
HEAD = "# The oldest versions that pyproject.toml allows (python tools/oldest.py); make test-oldest tests them."
TOOLS = ("dev", "docs")
"""Extras for developing: their own bounds are not tested."""


def oldest(root: Path = ROOT) -> Iterator[str]:
    """A constraint per dependency, by name.

    Raises:
        SystemExit: A dependency has no lower bound.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: texts for name, texts in project["optional-dependencies"].items() if name not in TOOLS}
    found: dict[str, str] = {}
    for text in [*project["dependencies"], *(text for texts in extras.values() for text in texts)]:
        requirement = Requirement(text)
        if requirement.name == project["name"]:
            continue
        bounds = [one.version for one in requirement.specifier if one.operator in (">=", "==")]
        if not bounds:
            raise SystemExit(f"{requirement.name} has no lower bound in pyproject.toml")
        if found.setdefault(requirement.name, bounds[0]) != bounds[0]:
            raise SystemExit(f"{requirement.name} has two lower bounds in pyproject.toml")
    yield from (f"{name}=={version}" for name, version in sorted(found.items()))


if __name__ == "__main__":
    sys.stdout.write("\n".join([HEAD, *oldest()]) + "\n")
