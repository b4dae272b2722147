"""Whether a tag may be released: `python tools/check_release.py v1.2.3 --branch origin/main`.

`--notes` prints its section of the changelog instead. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
URLS = ("Homepage", "Documentation", "Source", "Issues", "Changelog")


def version_of(root: Path) -> str:
    """What ``src/idiolect/version.py`` says."""
    text = (root / "src" / "idiolect" / "version.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("src/idiolect/version.py holds no __version__")
    return found[1]


def notes(root: Path, version: str) -> tuple[str, str]:
    """The heading of a version in the changelog and what is under it; empty if there is none."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    for heading, body in sections.items():
        if heading.split(" ")[0] == version:
            return heading, body.strip() + "\n"
    return "", ""


def problems(root: Path, tag: str, branch: str | None) -> Iterator[str]:
    """What is in the way of a release, a line each."""
    version = version_of(root)
    if tag != f"v{version}":
        yield f"the tag is {tag}, src/idiolect/version.py says {version}"
    heading, body = notes(root, version)
    if not re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", heading):
        yield f"CHANGELOG.md needs a section '## {version} - YYYY-MM-DD', found {heading or 'none'!r}"
    elif not body.strip():
        yield f"the section of {version} in CHANGELOG.md is empty"
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    if f"\nversion: {version}\n" not in citation:
        yield f"CITATION.cff does not say 'version: {version}'"
    if "\ndate-released: " not in citation:
        yield "CITATION.cff has no date-released"
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if missing := [name for name in URLS if name not in project.get("urls", {})]:
        yield f"[project.urls] in pyproject.toml lacks {', '.join(missing)}"
    on_branch = ["git", "merge-base", "--is-ancestor", "HEAD", branch or "HEAD"]
    if branch and subprocess.run(on_branch, cwd=root, check=False).returncode:
        yield f"the tagged commit is not on {branch}"


def main() -> None:
    """Print what is in the way, or the notes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag", help="v and the version")
    parser.add_argument("--branch", help="the branch that must hold the tagged commit")
    parser.add_argument("--notes", action="store_true", help="print the version's section of the changelog")
    given = parser.parse_args()
    if given.notes:
        sys.stdout.write(notes(ROOT, given.tag.removeprefix("v"))[1])
        return
    found = list(problems(ROOT, given.tag, given.branch))
    sys.exit("\n".join(found) if found else 0)


if __name__ == "__main__":
    main()
