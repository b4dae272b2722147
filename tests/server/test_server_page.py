"""The examples of docs/server.md run as they are printed; the container files name settings that exist."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

pytest.importorskip("prometheus_client")

from idiolect.server.settings import PREFIX, ServerConfig

ROOT = Path(__file__).parents[2]
if not (ROOT / "docs" / "server.md").is_file():
    pytest.skip("docs/server.md is not beside the tests", allow_module_level=True)
PAGE = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8765"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_curl_and_python_of_the_page(start, tmp_path, upstream, monkeypatch, capsys):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    endpoint = {"base_url": f"{upstream.address}/v1", "model": "m-1"}
    curls = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("curl ")]
    assert len(curls) == 10
    with start(tmp_path, endpoint=endpoint) as server:
        monkeypatch.setenv("KEY", server.key)

        def run(line):
            command = ["bash", "-c", line.replace(ADDRESS, server.url)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
            found = json.loads(done.stdout)
            assert "error" not in found, found
            return found

        answers = [run(line) for line in curls[:3]]
        assert answers[2]["idiolect"]["evidence"]
        for code in blocks("py"):
            names = {}
            exec(compile(code.replace(ADDRESS, server.url), "server.md", "exec"), names)
            names["client"].close()
        assert capsys.readouterr().out.count("one two three") == 3
        answers = [run(line) for line in curls[3:]]
        assert answers[-1]["receipt"]["reviews"] == 2


def test_the_page_names_every_route(server):
    for path in server.app.openapi()["paths"]:
        plain = re.sub(r"/?\{.*", "", path)
        assert plain in PAGE, path


def test_container_files_name_settings_that_exist():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    docker = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    named = [*compose["services"]["server"]["environment"], *re.findall(rf"{PREFIX}\w+", docker)]
    for name in named:
        assert name.removeprefix(PREFIX).lower().split("__")[0] in ServerConfig.model_fields
    assert "\nUSER idiolect\n" in docker
    assert compose["services"]["server"]["read_only"] is True
    assert all("healthcheck" in one for name, one in compose["services"].items() if name != "server")
    assert "HEALTHCHECK" in docker
    extras = re.search(r"ARG EXTRAS=(\S+)", docker)[1].split(",")
    assert all(f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text(encoding="utf-8") for extra in extras)
