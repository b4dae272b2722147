"""Put a built site into the branch gh-pages, a folder per version: `python tools/publish_docs.py SITE --ref REF`.

``refs/heads/main`` is published as ``dev``, ``refs/tags/v1.2.3`` as ``1.2``; the newest of these also as ``stable``.
The root lists all versions. A pre-release (``v1.2.3rc1``) is published as ``dev`` is. Standard library and git only.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

BRANCH = "gh-pages"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>idiolect</title>
<meta name="viewport" content="width=device-width"></head>
<body><h1>idiolect: documentation</h1><ul>
{items}
</ul></body></html>
"""


def folder_of(ref: str) -> str:
    """The folder of a branch or tag: ``dev``, or ``MAJOR.MINOR``."""
    found = re.fullmatch(r"refs/tags/v(\d+)\.(\d+)\.\d+", ref)
    return f"{found[1]}.{found[2]}" if found else "dev"


def versions(root: Path) -> list[str]:
    """The published versions, the newest first."""
    found = [path.name for path in root.iterdir() if re.fullmatch(r"\d+\.\d+", path.name)]
    return sorted(found, key=lambda name: tuple(map(int, name.split("."))), reverse=True)


def lay(site: Path, root: Path, ref: str) -> str:
    """Replace the folder of ``ref`` by ``site``, and ``stable`` and the list of versions if they change.

    Args:
        site: What Sphinx built.
        root: The work tree of the published branch.
        ref: What the site was built from.

    Returns:
        The folder.
    """
    name = folder_of(ref)
    shutil.rmtree(root / name, ignore_errors=True)
    shutil.copytree(site, root / name)
    known = versions(root)
    if known[:1] == [name]:
        shutil.rmtree(root / "stable", ignore_errors=True)
        shutil.copytree(site, root / "stable")
    stable = [f'<li><a href="stable/">stable ({known[0]})</a></li>'] if known else []
    others = [f'<li><a href="{one}/">{one}</a></li>' for one in known]
    dev = ['<li><a href="dev/">development</a></li>'] if (root / "dev").is_dir() else []
    (root / "index.html").write_text(PAGE.format(items="\n".join([*stable, *others, *dev])), encoding="utf-8")
    (root / ".nojekyll").touch()  # folders that begin with an underscore are served, too
    return name


def main() -> None:
    """Commit and push."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, help="the built site")
    parser.add_argument("--ref", required=True, help="full name of what it was built from")
    given = parser.parse_args()

    def git(*arguments: str, inside: Path | None = None, check: bool = True) -> int:
        who = ["-c", "user.name=docs", "-c", "user.email=docs@localhost"]
        return subprocess.run(["git", *who, *arguments], cwd=inside, check=check).returncode

    with tempfile.TemporaryDirectory() as parent:
        root = Path(parent) / "pages"
        there = git("fetch", "--depth=1", "origin", f"+{BRANCH}:refs/remotes/origin/{BRANCH}", check=False) == 0
        git("worktree", "add", "--detach", "--no-checkout", str(root))
        try:
            if there:
                git("checkout", "-q", "-B", BRANCH, f"origin/{BRANCH}", inside=root)
            else:
                git("checkout", "-q", "--orphan", BRANCH, inside=root)
                git("rm", "-rfq", "--ignore-unmatch", ".", inside=root)
            name = lay(given.site.resolve(), root, given.ref)
            git("add", "-A", inside=root)
            if git("diff", "--cached", "--quiet", inside=root, check=False):
                git("commit", "-q", "-m", f"Documentation of {name}", inside=root)
                git("push", "-q", "origin", f"HEAD:{BRANCH}", inside=root)
        finally:
            git("worktree", "remove", "--force", str(root))


if __name__ == "__main__":
    main()
