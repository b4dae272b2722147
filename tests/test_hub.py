"""Without a hub nothing is waited for: models come from folders and the cache."""

from __future__ import annotations

import socket

import pytest

from idiolect.hub import only_cached


@pytest.fixture
def hub(monkeypatch):
    """Names a hub on this machine, and no proxy; the environment of all tests says that there is no hub."""
    for name in ("HF_HUB_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    server = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
    yield server
    server.close()


def test_only_without_a_hub_the_cache_alone_is_looked_at(hub, tmp_path, monkeypatch):
    assert not only_cached("owner/model")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert only_cached("owner/model")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    hub.close()
    assert only_cached("owner/model")
    assert not only_cached(str(tmp_path))


def test_a_proxy_may_know_the_hub(hub, monkeypatch):
    hub.close()
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    assert not only_cached("owner/model")
