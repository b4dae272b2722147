"""What a release rests on: bounds, licences, the container's files, workflows, the tools that check and publish."""

from __future__ import annotations

import importlib.util
import re
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from idiolect.version import __version__

ROOT = Path(__file__).parents[1]
if not (ROOT / "tools" / "check_release.py").is_file():
    pytest.skip("the tools are not beside the tests", allow_module_level=True)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))  # an sdist has none


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_oldest_versions_are_those_that_the_project_allows() -> None:
    said = (ROOT / "constraints-min.txt").read_text(encoding="utf-8").splitlines()
    assert said[1:] == list(tool("oldest").oldest()), "python tools/oldest.py > constraints-min.txt"


def test_the_tested_versions_are_allowed() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    tested = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    for text in tool("licenses").declared():
        requirement = Requirement(text)
        assert requirement.specifier.contains(tested[canonicalize_name(requirement.name)]), text


def test_the_licences_of_all_dependencies_are_listed() -> None:
    licenses = tool("licenses")
    listed = licenses.listed((ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8"))
    assert {canonicalize_name(Requirement(text).name) for text in licenses.declared()} <= set(listed)
    assert all(listed.values())


def test_every_extra_is_explained() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8").partition("## Extras")[2].partition("\n## ")[0]
    explained = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert explained == set(PROJECT["project"]["optional-dependencies"])


def test_the_container_gets_everything_that_its_build_reads() -> None:
    """A wheel is built in the container: without one of these files that fails."""
    docker = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    let_in = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    needed = ["pyproject.toml", "constraints.txt", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]]
    targets = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed += [path.split("/")[0] for path in [*targets["packages"], *targets["force-include"]]]
    copied = {word for line in re.findall(r"^COPY (?!--)(.*) \S+$", docker, re.MULTILINE) for word in line.split()}
    for path in needed:
        assert (ROOT / path).exists()
        assert path in copied, f"Dockerfile does not copy {path}"
        assert f"!{path}" in let_in, f".dockerignore keeps {path} out"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_use_exact_versions_and_may_do_little(path: Path) -> None:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert found["permissions"] in ({}, {"contents": "read"})
    for job in found["jobs"].values():
        assert job.get("uses", "./").startswith("./")
        for step in job.get("steps", ()):
            assert re.fullmatch(r"[\w./-]+@v\d+\.\d+\.\d+", step.get("uses", "a@v1.0.0"))
            assert "${{" not in step.get("run", ""), "a value goes through the environment into a script"


def copied(root: Path) -> Path:
    """The files that ``check_release`` reads, ready for a release."""
    for name in ("src/idiolect/version.py", "CHANGELOG.md", "CITATION.cff", "pyproject.toml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    urls = "".join(f'{name} = "https://example.org"\n' for name in tool("check_release").URLS)
    changes = {
        "CHANGELOG.md": (r"^## .*$", f"## {__version__} - 2026-01-02"),
        "CITATION.cff": (r"^version: .*$", f"version: {__version__}\ndate-released: 2026-01-02"),
        "pyproject.toml": (r"^\[project\.urls\]\n", f"[project.urls]\n{urls}"),
    }
    for name, (pattern, value) in changes.items():
        text = (root / name).read_text(encoding="utf-8")
        (root / name).write_text(re.sub(pattern, value, text, count=1, flags=re.MULTILINE), encoding="utf-8")
    return root


def test_what_is_in_the_way_of_a_release_is_named(tmp_path: Path) -> None:
    check, root = tool("check_release"), copied(tmp_path)
    assert list(check.problems(root, f"v{__version__}", None)) == []
    assert "One import" in check.notes(root, __version__)[1]
    assert "the tag is v9.9.9" in next(check.problems(root, "v9.9.9", None))
    (root / "CHANGELOG.md").write_text(f"# Changelog\n\n## {__version__} - unreleased\n\n- x\n")
    (root / "CITATION.cff").write_text("version: 0\n")
    (root / "pyproject.toml").write_text('[project]\nname = "x"\n')
    found = "\n".join(check.problems(root, f"v{__version__}", None))
    assert all(part in found for part in ("YYYY-MM-DD", "CITATION.cff", "date-released", "Homepage"))


def test_a_wheel_holds_the_package_and_the_recipes_and_nothing_else(tmp_path: Path, monkeypatch) -> None:
    check, wheel = tool("check_release"), tmp_path / "idiolect.whl"
    kept = {"src/idiolect": ["src/idiolect/a.py", "src/idiolect/b/c.json"], "recipes": ["recipes/dep/dep.yaml"]}
    monkeypatch.setattr(check, "tracked", lambda root, folder: kept[folder])

    def problems(*names: str, version: str = __version__) -> str:
        with zipfile.ZipFile(wheel, "w") as archive:
            for name in names:
                archive.writestr(name, "")
            archive.writestr("idiolect-1.dist-info/METADATA", f"Name: idiolect\nVersion: {version}\n")
            archive.writestr("idiolect-1.dist-info/licenses/LICENSE", "")
        return "\n".join(check.wheel_problems(ROOT, wheel))

    whole = ("idiolect/a.py", "idiolect/b/c.json", "idiolect/recipes/dep/dep.yaml", "x.dist-info/THIRD_PARTY.md")
    assert problems(*whole) == ""
    assert problems(*whole[1:]).endswith("lacks idiolect/a.py")
    assert "holds tests/x.py" in problems(*whole, "tests/x.py")
    assert "holds no THIRD_PARTY.md" in problems(*whole[:3])
    assert "of version 0.0, not" in problems(*whole, version="0.0")


def test_documentation_is_published_by_version(tmp_path: Path) -> None:
    publish, root = tool("publish_docs"), tmp_path / "pages"
    root.mkdir()

    def built(words: str) -> Path:
        site = tmp_path / words
        site.mkdir()
        (site / "index.html").write_text(words)
        return site

    refs = ["heads/main", "tags/v1.9.0", "tags/v1.10.0", "tags/v1.9.1", "tags/v2.0.0rc1"]
    names = [publish.lay(built(f"site-{place}"), root, f"refs/{ref}") for place, ref in enumerate(refs)]
    assert names == ["dev", "1.9", "1.10", "1.9", "dev"]
    shown = {name: (root / name / "index.html").read_text() for name in ("dev", "1.9", "1.10", "stable")}
    assert shown == {"dev": "site-4", "1.9": "site-3", "1.10": "site-2", "stable": "site-2"}
    links = re.findall(r'href="([^"]+)"', (root / "index.html").read_text())
    assert links == ["stable/", "1.10/", "1.9/", "dev/"]
