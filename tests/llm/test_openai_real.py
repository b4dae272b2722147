"""The backend against a server that nobody here wrote: ``transformers serve`` on the model the package ships."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

from idiolect.llm.base import SamplingParams
from idiolect.llm.registry import SANDBOX_BACKBONE, BackboneConfig

SERVER = Path(sys.executable).with_name("transformers")
NEEDED = ("openai", "fastapi", "uvicorn", "torch")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
READY_S = 240

pytestmark = [
    pytest.mark.skipif(
        bool(MISSING) or not SERVER.is_file(),
        reason=f"transformers serve cannot run here; missing: {MISSING or SERVER}",
    ),
    pytest.mark.skipif(
        not MISSING and Version(version("transformers")) < Version("5.5"),
        reason="the server of transformers before 5.5 has other options, and other prompts than its own templates give",
    ),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    # float32 as in process: greedy choices of another precision part ways at near ties.
    options = f"--host 127.0.0.1 --port {port} --device cpu --dtype float32".split()
    command = [str(SERVER), "serve", str(SANDBOX_BACKBONE), *options]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        _wait(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def _wait(health, process, log):
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


def test_it_writes_what_the_same_model_writes_in_process(url, make_context):
    from idiolect.llm.endpoint import OpenAIConfig
    from idiolect.llm.openai import OpenAILLM
    from idiolect.llm.transformers import TransformersLLM
    from idiolect.prompts.rendering import render

    templates = [("nonpersonalized", 0), ("rag", 2), ("rag", 1)]
    prompts = [render(name, make_context(entries)) for name, entries in templates]
    greedy = SamplingParams(temperature=0, top_p=1.0, max_new_tokens=24)
    local = TransformersLLM.load(BackboneConfig()).generate(prompts, greedy)
    with OpenAILLM(OpenAIConfig(model=str(SANDBOX_BACKBONE), base_url=url, limits={"concurrency": 2})) as llm:
        found = llm.generate(prompts, greedy)
    assert [c.failure for c in found] == [None] * 3
    assert [c.prompt_tokens for c in found] == [c.prompt_tokens for c in local]
    assert [c.text for c in found] == [c.text.strip() for c in local]
    assert all(0 < c.completion_tokens <= 24 for c in found)
