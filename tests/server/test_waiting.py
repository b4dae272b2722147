"""Requests that wait for a model keep nobody else waiting, and none whose client has left keeps a place."""

import asyncio
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Request

pytest.importorskip("prometheus_client")

WRITE = {"user": "ann", "item": "jam"}
WAIT = {"model": "m-1", "messages": [{"role": "user", "content": "wait"}]}
GO_ON = {"model": "m-1", "messages": [{"role": "user", "content": "go on"}]}
POOL = 40
"""Threads of the routes that wait for no model."""


class Held:
    """An upstream that answers what says "wait" once it is released, and everything else at once."""

    def __init__(self):
        self.arrived, self.released = threading.Semaphore(0), threading.Event()

    def app(self):
        app = FastAPI()

        @app.post("/v1/chat/completions")
        async def answer(request: Request):
            body = await request.json()
            if "go on" not in str(body["messages"][-1]["content"]):
                self.arrived.release()
                while not self.released.is_set():
                    await asyncio.sleep(0.01)
            message = {"role": "assistant", "content": "done"}
            return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": None}

        return app

    def came(self, times=1):
        for _ in range(times):
            assert self.arrived.acquire(timeout=60)


@pytest.fixture
def held(start, tmp_path):
    """Starts a server before such an upstream, with a user in its store."""

    @contextmanager
    def run(**settings):
        upstream = Held()
        with start.listening(upstream.app()) as address:
            endpoint = {"base_url": f"{address}/v1", "model": "m-1"}
            with start(tmp_path, endpoint=endpoint, burst=5000, **settings) as server:
                with server.http() as http:
                    review = {"user": "ann", "item": "tea", "text": "Wow! I love it!"}
                    assert http.post("/v1/reviews", json=review).status_code == 200
                try:
                    yield server, upstream
                finally:
                    upstream.released.set()

    return run


def leave(server, upstream, path, body):
    """Send a request, and go away once the upstream has it."""
    url, content = urlsplit(server.url), json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {server.key}\r\n"
    kind = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(f"{head}{kind}{content}".encode())
        upstream.came()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "asked"), [("/v1/chat/completions", WAIT), ("/v1/responses", {"model": "m-1", "input": "wait"})]
)
def test_a_client_that_leaves_before_the_first_word_frees_its_place(held, path, asked, stream):
    with held(concurrency=1, waiting=0) as (server, upstream), server.http() as http:
        leave(server, upstream, path, {**asked, "stream": stream})
        for _ in range(600):  # until the server has seen it; the upstream does not answer before
            answer = http.post("/v1/chat/completions", json=GO_ON)
            if answer.status_code != 429:
                break
            time.sleep(0.1)
        assert answer.status_code == 200


def test_texts_that_are_waited_for_leave_the_other_routes_free(held):
    with held(concurrency=POOL + 5) as (server, upstream), server.http() as http, ThreadPoolExecutor(POOL + 5) as pool:
        asked = [pool.submit(http.post, "/v1/write", json=WRITE) for _ in range(POOL + 5)]
        upstream.came(POOL)
        try:
            assert http.get("/v1/profile", params={"user": "ann"}, timeout=30).json()["reviews"] == 1
        finally:
            upstream.released.set()
        assert {one.result().status_code for one in asked} == {200}


def test_a_written_text_has_a_place_like_a_chat_until_the_model_ends(held):
    with held(concurrency=1, waiting=0, timeout_seconds=60) as (server, upstream), server.http() as http:
        leave(server, upstream, "/v1/write", WRITE)
        assert http.post("/v1/write", json=WRITE).status_code == 429
        assert http.post("/v1/chat/completions", json=GO_ON).status_code == 429
        upstream.released.set()
        for _ in range(600):
            answer = http.post("/v1/write", json=WRITE)
            if answer.status_code == 200:
                break
            time.sleep(0.1)
        assert answer.json()["text"] == "done"
