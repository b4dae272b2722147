"""Soft prompts to a vLLM server: what is sent, what becomes of its replies, and a real server's tokens."""

from __future__ import annotations

import base64
import io
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

pytest.importorskip("httpx2")

from idiolect.errors import ConfigError, NotFoundError
from idiolect.llm.base import SamplingParams
from idiolect.llm.registry import BackboneConfig, PromptEmbedsServer, load_llm
from idiolect.llm.vllm import InputEmbeddings
from idiolect.llm.vllm_server import VllmServerLLM, packed
from idiolect.prompts.rendering import render, with_soft

GREEDY = SamplingParams(temperature=0, max_new_tokens=8)


@contextmanager
def listening(reply, status=200):
    """A server that notes what it is sent; its address and what it got."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.answer(reply, status)

        def do_GET(self):
            self.answer({"data": [{"id": "toy", "max_model_len": 300}]}, 200)

        def answer(self, body, code):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(code)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asking(url, local, tokenizer):
    table = InputEmbeddings(local.model.get_input_embeddings().weight.detach())
    return VllmServerLLM(PromptEmbedsServer(base_url=url, model="toy"), tokenizer, table, name="m", cache_salt="s")


def filled(prompt, width):
    rows = np.random.default_rng(0).normal(size=(len(prompt.virtual_tokens), width))
    return with_soft(prompt, rows.astype(np.float32))


def test_virtual_tokens_travel_as_embeddings_and_plain_prompts_as_ids(tiny_llm, tiny_tokenizer, make_context):
    local = tiny_llm("qwen2")
    soft, plain = filled(render("dep", make_context(2)), 32), render("rag", make_context(2))
    with listening({"choices": [{"token_ids": [1]}]}) as (url, bodies), asking(url, local, tiny_tokenizer) as llm:
        llm.generate([soft], GREEDY)
        llm.salted("other").generate([plain], GREEDY)
        encoded = llm.prompts.encode(soft)
        assert bodies[1]["prompt"] == llm.prompts.encode(plain).ids.tolist()
    tensor = torch.load(io.BytesIO(base64.b64decode(bodies[0]["prompt_embeds"])), weights_only=True)
    wanted = local.model.get_input_embeddings().weight.detach()[torch.from_numpy(encoded.ids.astype(np.int64))]
    where = torch.from_numpy(encoded.virtual_token_positions)
    wanted[where] = torch.from_numpy(soft.soft[encoded.virtual_token_indices]).to(wanted.dtype)
    assert torch.equal(tensor, wanted)
    assert (bodies[0]["prompt"], "prompt_embeds" in bodies[1]) == (None, False)
    assert [body["cache_salt"] for body in bodies] == ["s", "other"]
    assert (bodies[0]["temperature"], bodies[0]["max_tokens"], bodies[0]["seed"]) == (0, 8, 0)


def test_a_part_of_a_tensor_is_sent_without_the_rest():
    whole = torch.zeros(1000, 8)
    assert len(packed(whole[:1])) < len(packed(whole)) / 10


@pytest.mark.parametrize(
    ("reply", "status", "kind"),
    [
        ({"error": {"message": "no\nsuch size"}}, 400, "refused"),
        ({"error": "odd"}, 500, "server_error"),
        (b"<html>", 403, "denied"),
        (b"{", 200, "malformed"),
        ({"choices": []}, 200, "malformed"),
        ({"choices": [{"token_ids": [10**9]}]}, 200, "malformed"),
        ({"choices": [{"token_ids": ["1"]}]}, 200, "malformed"),
        ({"choices": [{"text": "no ids"}]}, 200, "malformed"),
    ],
)
def test_a_reply_that_is_none_is_a_failure(tiny_llm, tiny_tokenizer, make_context, reply, status, kind):
    with listening(reply, status) as (url, _), asking(url, tiny_llm("qwen2"), tiny_tokenizer) as llm:
        found = llm.generate([render("rag", make_context(1))] * 2, GREEDY)
    assert [one.failure.kind for one in found] == [kind] * 2
    assert "\n" not in found[0].failure.message


def test_a_server_that_is_not_there_or_serves_another_model():
    config = {"model": "sandbox", "backend": "vllm-server"}
    with listening({}) as (url, _):
        other = BackboneConfig(**config, prompt_embeds=PromptEmbedsServer(base_url=url, model="other"))
        with pytest.raises(NotFoundError, match="no vLLM server with the model 'other'"):
            load_llm(other)
        found = BackboneConfig(**config, prompt_embeds=PromptEmbedsServer(base_url=url, model="toy"))
        with load_llm(found) as llm:
            assert llm.prompts.max_tokens <= 299
    with pytest.raises(NotFoundError, match="no vLLM server"):
        load_llm(found)
    with pytest.raises(ValueError, match="go together"):
        BackboneConfig(backend="vllm-server")
    with pytest.raises(ValueError, match="no address"):
        PromptEmbedsServer(base_url="ftp://host", model="toy")
    with pytest.raises(ConfigError, match="likelihoods"):
        VllmServerLLM.negative_log_likelihood(llm, [], [])


def events(*choices, end=b"data: [DONE]\n\n"):
    return b"".join(b"data: " + json.dumps({"choices": [one]}).encode() + b"\n\n" for one in choices) + end


def test_a_streamed_reply_is_heard_and_can_be_ended(tiny_llm, tiny_tokenizer, make_context):
    local, prompt = tiny_llm("qwen2"), filled(render("dep", make_context(2)), 32)
    words = tiny_tokenizer("Past words and more and more").input_ids
    pieces = [{"token_ids": words[:2]}, {"token_ids": [], "text": ""}, {"token_ids": words[2:]}]
    with listening(events(*pieces)) as (url, bodies), asking(url, local, tiny_tokenizer) as llm:
        heard = []
        found = llm.stream_text(prompt, GREEDY, lambda text: heard.append(text) or True)
        assert (found.text, found.failure) == ("Past words and more and more", None)
        assert heard[0] != heard[-1] == found.text
        ended = llm.stream_text(prompt, GREEDY, lambda text: False)
        assert found.text.startswith(ended.text)
        assert ended.completion_tokens == 2
    assert bodies[0]["stream"] is True


@pytest.mark.parametrize(
    ("reply", "status", "kind"),
    [
        (b"data: {\n\n", 200, "malformed"),
        (events({"text": "no ids"}), 200, "malformed"),
        (events({"token_ids": [1] * 99}), 200, "oversized"),
        (events({"token_ids": [1]}, end=b""), 200, "connection"),
        ({"error": {"message": "no"}}, 400, "refused"),
    ],
)
def test_a_stream_that_is_none_is_a_failure(tiny_llm, tiny_tokenizer, make_context, reply, status, kind):
    with listening(reply, status) as (url, _), asking(url, tiny_llm("qwen2"), tiny_tokenizer) as llm:
        found = llm.stream_text(render("rag", make_context(1)), GREEDY, lambda _: True)
    assert (found.failure.kind, found.text) == (kind, "")
