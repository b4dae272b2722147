"""Whether a tag may be released: `python tools/check_release.py v1.2.3 --branch origin/main`.

`--notes` prints its section of the changelog instead. `--wheel FILE` also compares a wheel with the checkout: every
file of the package and every recipe is in it, and nothing else. Standard library only: it runs before anything is
installed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
import zipfile
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


def wheel_problems(root: Path, wheel: Path) -> Iterator[str]:
    """What a wheel lacks of the checkout's tracked files, or has too many, a line each."""
    places = {"src/idiolect": "idiolect", "recipes": "idiolect/recipes"}
    wanted = {f"{to}{path.removeprefix(start)}" for start, to in places.items() for path in tracked(root, start)}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        held = {name for name in names if not name.partition("/")[0].endswith(".dist-info")}
        metadata = [archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")]
    yield from (f"{wheel.name} lacks {name}" for name in sorted(wanted - held))
    yield from (f"{wheel.name} holds {name}, which is no part of the package" for name in sorted(held - wanted))
    said = {
        line.removeprefix("Version: ") for text in metadata for line in text.splitlines() if line[:9] == "Version: "
    }
    if said != {version_of(root)}:
        yield f"{wheel.name} is of version {', '.join(said) or 'none'}, not {version_of(root)}"
    for license in ("LICENSE", "THIRD_PARTY.md"):
        if not any(name.endswith(f"/{license}") for name in names - held):
            yield f"{wheel.name} holds no {license}"


def tracked(root: Path, folder: str) -> list[str]:
    """The files of a folder that git knows, as paths from ``root``."""
    found = subprocess.run(["git", "ls-files", "-z", folder], cwd=root, check=True, capture_output=True, text=True)
    return [path for path in found.stdout.split("\0") if path]


def main() -> None:
    """Print what is in the way, or the notes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag", nargs="?", help="v and the version; may be left out with --wheel")
    parser.add_argument("--branch", help="the branch that must hold the tagged commit")
    parser.add_argument("--notes", action="store_true", help="print the version's section of the changelog")
    parser.add_argument("--wheel", type=Path, help="a wheel that must hold what the checkout does")
    given = parser.parse_args()
    if given.tag is None and (given.notes or given.wheel is None):
        parser.error("name the tag")
    if given.notes and given.tag:
        sys.stdout.write(notes(ROOT, given.tag.removeprefix("v"))[1])
        return
    found = [] if given.tag is None else list(problems(ROOT, given.tag, given.branch))
    if given.wheel is not None:
        found += wheel_problems(ROOT, given.wheel)
    sys.exit("\n".join(found) if found else 0)


if __name__ == "__main__":
    main()
