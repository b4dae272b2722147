"""Limits, hosts and origins, errors, logs, metrics, settings by environment."""

import asyncio
import json
import logging
import socket
import threading
from urllib.parse import urlsplit

import pytest

pytest.importorskip("prometheus_client")

from fastapi import FastAPI

from idiolect.errors import ConfigError
from idiolect.server.http import ApiError, Gate, JsonLines
from idiolect.server.settings import load_config

ASK = {"model": "m-1", "messages": [{"role": "user", "content": "x"}]}


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def raw(server, text, *, half_close=False):
    """What the server answers to bytes that are no whole request."""
    url = urlsplit(server.url)
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(text.replace("\n", "\r\n").encode())
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
            if b'"error"' in b"".join(parts):
                break
        return b"".join(parts).decode()


def test_other_hosts_and_other_sites_pages_are_refused(server):
    with server.http() as http:
        assert code(http.get("/v1/models", headers={"host": "evil.example"})) == (421, "untrusted_host")
        assert code(http.get("/v1/models", headers={"origin": "https://evil.example"})) == (403, "untrusted_origin")
        assert http.get("/v1/models", headers={"origin": server.url}).status_code == 200
        assert http.get("/healthz", headers={"host": "LOCALHOST:99"}).status_code == 200


def test_an_allowed_origin_gets_its_headers(start, tmp_path, upstream):
    endpoint = {"base_url": f"{upstream.address}/v1", "model": "m-1"}
    with start(tmp_path, endpoint=endpoint, origins=["https://app.example"]) as own, own.http() as http:
        headers = {"origin": "https://app.example"}
        assert http.get("/v1/models", headers=headers).headers["access-control-allow-origin"] == headers["origin"]
        ask = {**headers, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        assert http.options("/v1/reviews", headers=ask).status_code == 200
        assert code(http.get("/v1/models", headers={"origin": "https://b.example"})) == (403, "untrusted_origin")


@pytest.fixture(scope="module")
def small(start, tmp_path_factory, upstream):
    """A server with small limits, and an upstream that answers only when it may."""
    may = threading.Event()
    app = FastAPI()

    @app.post("/v1/chat/completions")
    def wait():
        may.wait()
        return {"choices": [{"index": 0, "message": {"role": "assistant", "content": "late"}, "finish_reason": "stop"}]}

    listening = start.listening
    with listening(app) as address:
        limits = {"max_body_bytes": 2048, "body_seconds": 0.3, "timeout_seconds": 0.5}
        endpoint = {"base_url": f"{address}/v1", "model": "m-1"}
        with start(tmp_path_factory.mktemp("small"), endpoint=endpoint, **limits) as running:
            yield running
        may.set()


def test_large_bodies_are_refused_stated_or_not(small):
    with small.http() as http:
        assert code(http.post("/v1/reviews", content=b"x" * 5000)) == (413, "too_large")
        assert code(http.post("/v1/reviews", content=iter([b"x" * 1500] * 3))) == (413, "too_large")


def test_slow_and_half_closed_clients_end(small):
    head = f"POST /v1/reviews HTTP/1.1\nHost: localhost\nAuthorization: Bearer {small.key}\nContent-Length: 100\n\n{{"
    assert "408" in raw(small, head).splitlines()[0]
    raw(small, head, half_close=True)
    assert "400" in raw(small, "POST /v1 nonsense\n\n").splitlines()[0]
    with small.http() as http:
        assert http.get("/healthz").status_code == 200


def test_a_request_that_is_not_answered_in_time_ends(small):
    with small.http() as http:
        assert code(http.post("/v1/chat/completions", json=ASK)) in ((504, "timeout"), (504, "upstream_timeout"))


def test_too_many_requests_of_a_key_are_refused(start, tmp_path, upstream):
    endpoint = {"base_url": f"{upstream.address}/v1", "model": "m-1"}
    with start(tmp_path, endpoint=endpoint, burst=3, rate_per_minute=0.001) as own:
        with own.http() as http:
            answers = [http.get("/v1/models") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert int(answers[3].headers["retry-after"]) > 1000
        with own.http("wrong") as http:  # keys cannot be guessed faster
            assert [http.get("/v1/models").status_code for _ in range(4)] == [401, 401, 401, 429]
        with own.http() as http:
            assert http.get("/healthz").status_code == 200


def test_a_gate_lets_some_in_has_some_wait_and_refuses_more():
    async def run():
        gate, leave, inside, ended = Gate(1, 1), asyncio.Event(), [], []

        async def work(n):
            async with gate():
                inside.append(n)
                await leave.wait()
            ended.append(n)

        tasks = [asyncio.create_task(work(n)) for n in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as refused:
            await work(2)
        assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
        assert inside == [0]
        leave.set()
        await asyncio.gather(*tasks)
        await work(3)
        return ended

    assert asyncio.run(run()) == [0, 1, 3]


def test_a_fault_of_the_server_says_nothing_of_the_user(fresh, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("zanzibarite of ann")

    store = fresh.services.tenants.get("default").store
    monkeypatch.setattr(store, "profile", fail)
    with fresh.http() as http:
        answer = http.get("/v1/profile", params={"user": "ann"})
    assert code(answer) == (500, "internal_error")
    assert "zanzibarite" not in answer.text + caplog.text
    assert "test_operation.py" in json.dumps([getattr(record, "fields", {}) for record in caplog.records])


def test_log_lines_are_json_without_ids_and_texts(server, caplog):
    caplog.set_level("INFO", logger="idiolect.server")
    with server.http() as http:
        http.get("/v1/reviews", params={"user": "ann"})
        http.put("/v1/differences/zanzibarite", params={"user": "ann"}, json={"state": "muted"})
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records if record.name == "idiolect.server"]
    routes = [(line["method"], line["route"], line["status"]) for line in lines]
    assert ("GET", "/v1/reviews", 200) in routes
    assert ("PUT", "/v1/differences/{difference:path}", 400) in routes
    assert {"trace", "tenant", "key", "ms"} <= lines[-1].keys()
    assert "zanzibarite" not in json.dumps(lines)
    other = logging.LogRecord("idiolect.x", logging.WARNING, "f", 1, "%r wrote %r", ("ann", "text"), None)
    assert json.loads(JsonLines().format(other))["message"] == "%r wrote %r"
    foreign = logging.LogRecord("httpx", logging.INFO, "f", 1, "a user's text", (), None)
    assert "message" not in json.loads(JsonLines().format(foreign))


def test_metrics_count_requests_answers_and_tokens(server):
    with server.http() as http:
        http.post("/v1/chat/completions", json=ASK)
        text = http.get("/metrics").text
        assert http.get("/readyz").json() == {"ready": True, "model": "upstream"}
        paths = http.get("/openapi.json").json()["paths"]
    assert 'idiolect_requests_total{method="POST",route="/v1/chat/completions",status="200"}' in text
    assert 'idiolect_model_tokens_total{kind="prompt"}' in text
    added = next(line for line in text.splitlines() if line.startswith("idiolect_reviews_added_total "))
    assert float(added.split()[1]) >= 30  # other tests of the shared server add some
    assert "ann" not in text
    assert "/v1/score" in paths


def test_settings_come_from_a_file_the_environment_and_flags(tmp_path, monkeypatch):
    file = tmp_path / "server.yaml"
    file.write_text("port: 1\nmin_peers: 4\nendpoint: {model: a, base_url: 'http://a/v1'}\n", encoding="utf-8")
    monkeypatch.setenv("IDIOLECT_SERVE_PORT", "2")
    monkeypatch.setenv("IDIOLECT_SERVE_ENDPOINT__MODEL", "b")
    monkeypatch.setenv("IDIOLECT_SERVE_TRUSTED_HOSTS", "*")
    monkeypatch.setenv("IDIOLECT_SERVE_STORE", "postgresql://host/{tenant}")
    config = load_config(file, {"port": 3})
    assert (config.port, config.min_peers, config.endpoint.model, config.trusted_hosts) == (3, 4, "b", ("*",))
    assert config.store_of("acme") == "postgresql://host/acme"
    assert load_config(None, {"store": "a.db"}).store_of("default") == "a.db"
    for name, value in (("PORTT", "1"), ("KEY", "short"), ("USER_HEADER", "X-User")):
        monkeypatch.setenv(f"IDIOLECT_SERVE_{name}", value)
        with pytest.raises(ConfigError):
            load_config()
        monkeypatch.delenv(f"IDIOLECT_SERVE_{name}")
    with pytest.raises(ConfigError):
        load_config(None, {"store": "a.db"}).store_of("other")
