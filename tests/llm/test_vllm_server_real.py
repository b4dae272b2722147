"""A real vLLM server behind this library: the same tokens as the model in this process.

Runs if vLLM is installed, or if ``IDIOLECT_VLLM_PYTHON`` names the interpreter of an environment that has it.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("torch")

from idiolect.llm.base import SamplingParams  # noqa: E402
from idiolect.llm.registry import SANDBOX_BACKBONE, BackboneConfig, load_llm  # noqa: E402
from idiolect.prompts.rendering import render, with_soft  # noqa: E402
from idiolect.server.personalization import Voice  # noqa: E402
from idiolect.server.settings import ServerConfig  # noqa: E402
from idiolect.server.tenants import Tenants  # noqa: E402
from idiolect.server.voice import SHIPPED_ADAPTER, Voices  # noqa: E402
from idiolect.types import Item, Review  # noqa: E402

PYTHON = os.environ.get("IDIOLECT_VLLM_PYTHON") or (sys.executable if importlib.util.find_spec("vllm") else "")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PYTHON, reason="vLLM is not installed")]


@pytest.fixture(scope="module")
def vllm(tmp_path_factory):
    """The address of a vLLM server that runs the shipped model, prefix caching on as by default."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", str(SANDBOX_BACKBONE)]
    command += ["--served-model-name", "toy", "--enable-prompt-embeds", "--enforce-eager", "--dtype", "float32"]
    command += ["--max-model-len", "1024", "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | quiet
    log = tmp_path_factory.mktemp("vllm") / "log"
    with log.open("wb") as file:
        running = subprocess.Popen(command, stdout=file, stderr=file, env=environment, cwd=log.parent)
    try:
        url = f"http://127.0.0.1:{port}"
        while True:
            assert running.poll() is None, log.read_text(encoding="utf-8", errors="replace")[-2000:]
            try:
                if httpx2.get(f"{url}/health", timeout=5).status_code == 200:
                    break
            except httpx2.HTTPError:
                time.sleep(0.5)
        yield f"{url}/v1"
    finally:
        running.terminate()
        running.wait()


def filled(prompt, width, seed):
    rows = np.random.default_rng(seed).normal(size=(len(prompt.virtual_tokens), width))
    return with_soft(prompt, rows.astype(np.float32))


def test_the_same_tokens_as_in_this_process_also_from_a_cache(vllm, make_context):
    here = load_llm(BackboneConfig(device="cpu", dtype="float32", batch_size=1))
    prompts = [
        filled(render("dep", make_context(3, no_diff=[1])), here.hidden_size, 0),
        filled(render("dep", make_context(3, no_diff=[1])), here.hidden_size, 1),  # the same ids, other embeddings
        render("rag", make_context(4)),
        filled(render("dep", make_context(1)), here.hidden_size, 0),
        render("nonpersonalized", make_context(0)),
    ]
    params = SamplingParams(temperature=0, max_new_tokens=32)
    wanted = [(one.text, one.prompt_tokens, one.completion_tokens) for one in here.generate(prompts, params)]
    server = {"base_url": vllm, "model": "toy"}
    config = BackboneConfig(model="sandbox", backend="vllm-server", prompt_embeds=server)
    with load_llm(config) as there:
        assert there.name == here.name
        for salt, order in (("a", 1), ("a", -1), ("b", 1)):
            found = there.salted(salt).generate(prompts[::order], params)[::order]
            assert [(one.text, one.prompt_tokens, one.completion_tokens) for one in found] == wanted
        wide = filled(render("dep", make_context(1)), here.hidden_size, 0)
        there.embeddings._table = there.embeddings._table[:, :-1]
        wide = with_soft(wide, wide.soft[:, :-1])
        assert there.generate([wide], params)[0].failure.kind == "refused"


@pytest.fixture(scope="module")
def pplug(job):
    """A PPlug adapter on the shipped model, hardly trained: what counts is that both sides get the same vectors."""
    from idiolect.pipeline.commands import run_fit

    changes = {**job.settings, "adapter_method": "pplug", "methods": [], "controls": [], "adapter": {"past_texts": 1}}
    run_fit(job.store, job.split, job.folder / "pplug-sandbox", changes=changes, backbone="sandbox")
    return job.folder / "pplug-sandbox"


@pytest.mark.parametrize("method", ["dep", "pplug"])
def test_a_user_is_written_for_by_the_server_of_embeddings(vllm, tmp_path, method, request):
    adapter = SHIPPED_ADAPTER if method == "dep" else request.getfixturevalue("pplug")
    common = {"data": tmp_path, "adapter": adapter, "min_peers": 1}
    endpoint = {"base_url": vllm, "model": "toy"}
    texts = []
    for config in (
        ServerConfig(**common),
        ServerConfig(**common, endpoint=endpoint, prompt_embeds=True),
    ):
        voices = Voices(config)
        tenants = Tenants(config, voices.encoders)
        try:
            tenant = tenants.get("default")
            reviews = [
                Review(id=f"{user}{n}", user=user, item=f"i{n}", text=f"{said} <prompt_embeds> {n}.", timestamp=n)
                for user, said in (("ann", "Wow! I love it!"), ("bob", "It was fine, I suppose."))
                for n in range(4)
            ]
            tenant.add([Item(id=f"i{n}", title=f"Tea {n}") for n in range(4)], reviews, ())
            voice = Voice(user="ann", item="i1", method=method)
            sampling = {"temperature": 0, "max_new_tokens": 40}
            answer = voices.write(tenant, voice, "", sampling)
            texts.append((answer.text, answer.usage.prompt_tokens, answer.how.evidence, answer.model))
            heard = []
            again = voices.write(tenant, voice, "", sampling, lambda text, heard=heard: heard.append(text) or True)
            assert again.text == answer.text
            assert len(set(heard)) > 3
            assert answer.text.startswith(heard[-1])
            ended = voices.write(tenant, voice, "", sampling, lambda text: len(text) < 8)
            assert ended.usage.completion_tokens < 40
        finally:
            tenants.close()
            voices.close()
    assert texts[0] == texts[1]
    assert texts[0][0]
    assert texts[0][2]
