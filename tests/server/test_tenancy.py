"""Keys and tenants: whatever is not allowed ends in a refusal, on every route there is."""

import json
import math
import re
import socket
import sqlite3
import time

import pytest

pytest.importorskip("prometheus_client")

from fastapi.routing import APIRoute

from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.methods.base import METHODS, UNPERSONALIZED
from idiolect.server.app import serve
from idiolect.server.http import PUBLIC, STUDIO_FILES, Allow, RateLimiter
from idiolect.server.keys import SCOPES, ApiKeys
from idiolect.server.settings import ServerConfig
from idiolect.server.studio import page_files

BODIES = {
    "/v1/chat/completions": {"model": "m-1", "messages": [{"role": "user", "content": "x"}], "user": "ann"},
    "/v1/responses": {"model": "m-1", "input": "x", "user": "ann"},
    "/v1/reviews": {"user": "zoe", "item": "jam", "text": "Good."},
    "/v1/reviews/batch": {"reviews": []},
    "/v1/items": {"id": "new"},
    "/v1/differences/{difference:path}": {"state": "muted"},
    "/v1/peer": {"user": "ann", "peer": False},
    "/v1/write": {"user": "ann", "item": "jam"},
    "/v1/score": {"user": "ann", "text": "Wow!"},
    "/v1/import": {"user": "zoe"},
    "/v1/keys": {"scopes": ["read"]},
    "/v1/keys/{id}/rotate": {},
}


def routes(app):
    """Method, path and scope of every route with a key; the tools behind /mcp ask for theirs."""
    found = []
    for route in app.routes:
        if route.path not in PUBLIC and not route.path.startswith(STUDIO_FILES):
            dependencies = route.dependant.dependencies if isinstance(route, APIRoute) else []
            scopes = [one.call.scope for one in dependencies if isinstance(one.call, Allow)]
            found += [(method, route.path, *(scopes or [""])) for method in sorted(route.methods or {"POST"})]
    return [one for one in found if one[0] != "HEAD"]


def call(http, method, path, **options):
    url = re.sub(r"\{difference.*?\}", "length", re.sub(r"\{model.*?\}", "m-1", path.replace("{id}", "0123456789ab")))
    body = BODIES.get(path, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"} if path == "/mcp" else None)
    return http.request(method, url, params={"user": "ann"}, json=body, **options)


def test_every_route_fails_closed(server):
    keys = server.services.keys
    old, expired = keys.add("default", days=1)
    with sqlite3.connect(server.config.data / "keys.db") as database:
        database.execute("UPDATE keys SET expires = created - 1 WHERE id = ?", (old.id,))
    database.close()
    revoked, gone = keys.add("default")
    keys.revoke(revoked.id)
    made = keys.add("default")[1]
    wrong = ["x", expired, gone, made[:-1] + ("A" if made[-1] != "A" else "B"), made.replace("idl_", "idl-")]
    walked = routes(server.app)
    assert {path for _, path, _ in walked} > BODIES.keys()
    assert len(walked) >= 25
    with server.http("none") as http:
        for method, path, _ in walked:
            for key in wrong:
                answer = call(http, method, path, headers={"Authorization": f"Bearer {key}"})
                assert (answer.status_code, "www-authenticate" in answer.headers) == (401, True), (method, path)
                assert answer.json()["error"]["code"] == "invalid_api_key"
        assert http.get("/v1/nowhere", headers={"Authorization": "Bearer x"}).status_code == 401


@pytest.mark.parametrize("scope", SCOPES)
def test_every_route_asks_for_its_scope(server, scope):
    _, key = server.services.keys.add("default", [one for one in SCOPES if one != scope])
    with server.http(key) as http:
        for method, path, needed in routes(server.app):
            if needed == scope:
                answer = call(http, method, path)
                assert (answer.status_code, answer.json()["error"]["code"]) == (403, "missing_scope"), (method, path)


def test_no_route_gives_another_tenant_anything(server):
    _, foreign = server.services.keys.add("foreign")
    before = server.services.tenants.get("default").store.fingerprint()
    with server.http(foreign) as http:
        for method, path, _ in routes(server.app):
            answer = call(http, method, path, headers={"accept": "application/json, text/event-stream"})
            assert "zanzibarite" not in answer.text
            assert "ann-jam" not in answer.text, (method, path)
    assert server.services.tenants.get("default").store.fingerprint() == before
    with server.http() as http:
        assert http.get("/v1/profile", params={"user": "ann"}).json()["reviews"] == 6


def test_public_routes_hold_nothing_of_a_tenant(server):
    with server.http("none") as http:
        paths = (*PUBLIC, *(f"{STUDIO_FILES}{name}" for name in page_files()))
        texts = {path: http.get(path).text for path in paths}
    files = {path for path in texts if path.startswith(STUDIO_FILES)}
    assert all("ann" not in re.findall(r"\w+", texts[path]) for path in texts.keys() - files)
    assert all("zanzibarite" not in text and text != "default" for text in texts.values())
    assert json.loads(texts["/healthz"])["status"] == "ok"
    assert "<script" not in texts["/docs"]


def test_peers_are_compared_only_if_there_are_enough_of_them(start, tmp_path, upstream):
    endpoint = {"base_url": f"{upstream.address}/v1", "model": "m-1"}
    with start(tmp_path, endpoint=endpoint, min_peers=5) as own:
        from_five = [
            {
                "user": user,
                "item": item,
                "text": f"Wow!! {item}! Great!" if user == "ann" else f"A {item}. It was fine.",
            }
            for user in ("ann", "bob", "cyd", "dan", "eve")
            for item in ("a", "b", "c", "d", "e", "f")
        ]
        with own.http() as http:
            assert http.post("/v1/reviews/batch", json={"reviews": from_five}).status_code == 200
            chat = {"model": "idiolect/drp/ann", "messages": [{"role": "user", "content": "x"}]}
            assert http.get("/v1/differences", params={"user": "ann"}).json()["differences"] == []
            assert http.post("/v1/score", json={"user": "ann", "text": "Wow!!"}).json()["likeness"] is None
            assert http.post("/v1/chat/completions", json=chat).json()["idiolect"]["peer_scope"].keys() <= {"none"}


def test_keys_are_made_rotated_and_revoked_within_the_tenant(fresh):
    other, _ = fresh.services.keys.add("other")
    with fresh.http() as http:
        made = http.post("/v1/keys", json={"scopes": ["read", "write"], "days": 1, "note": "app"}).json()
        assert made["expires"] > time.time()
        with fresh.http(made["key"]) as app:
            assert app.get("/v1/profile", params={"user": "ann"}).status_code == 200
        rotated = http.post(f"/v1/keys/{made['id']}/rotate", json={}).json()
        assert rotated["scopes"] == ["read", "write"]
        for key, status in ((made["key"], 401), (rotated["key"], 200)):
            with fresh.http(key) as app:
                assert app.get("/v1/profile", params={"user": "ann"}).status_code == status
        assert http.delete(f"/v1/keys/{rotated['id']}").status_code == 200
        with fresh.http(rotated["key"]) as app:
            assert app.get("/v1/models").status_code == 401
        listed = http.get("/v1/keys").json()["keys"]
        assert [key["id"] for key in listed] == [made["id"]]
        assert http.delete(f"/v1/keys/{other.id}").status_code == 404
        assert http.post(f"/v1/keys/{other.id}/rotate", json={}).status_code == 404


def test_secrets_are_not_kept(tmp_path):
    keys = ApiKeys(tmp_path / "keys.db")
    _, sent = keys.add("a", ["read"])
    with pytest.raises(ConfigError):
        keys.add("../b")
    with pytest.raises(ConfigError):
        keys.add("a", ["root"])
    assert keys.find(sent).tenant == "a"
    keys.close()
    files = [file for file in tmp_path.iterdir() if file.is_file()]
    assert all(sent.split("_", 2)[2].encode() not in file.read_bytes() for file in files)
    assert (tmp_path / "keys.db").stat().st_mode & 0o077 == 0
    sqlite3.connect(tmp_path / "keys.db").close()


def test_a_bucket_refills_with_time():
    now = [0.0]
    limiter = RateLimiter(60, 2, lambda: now[0])
    assert [limiter.wait("a"), limiter.wait("a"), limiter.wait("b")] == [0, 0, 0]
    assert limiter.wait("a") == pytest.approx(1)
    now[0] = 1.0
    assert limiter.wait("a") == 0


@pytest.mark.parametrize("number", [math.nan, math.inf, -1, 1e300])
def test_a_key_lasts_for_a_number_of_days(tmp_path, number):
    keys = ApiKeys(tmp_path / "keys.db")
    for days in (number, 0):
        with pytest.raises(ConfigError, match=r"^days is .* \(give a number from .* to 36500\)$"):
            keys.add("default", days=days)
    made, _ = keys.add("default", days=1)
    assert made.expires == made.created + 86_400
    with pytest.raises(ConfigError, match=r"^grace_days is .* \(give a number from 0 to 365\)$"):
        keys.rotate(made.id, grace_days=number)
    assert [key.id for key in keys.list()] == [made.id]
    keys.close()


def test_a_file_of_another_kind_is_not_taken_for_keys(tmp_path):
    (tmp_path / "text.db").write_text("my notes " * 200)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    for name in ("text.db", "other.db"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(ArtifactError, match="cannot be used as the file of API keys"):
            ApiKeys(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


def test_what_keeps_a_server_from_starting_is_one_line(tmp_path):
    (tmp_path / "bad.db").write_text("not a store " * 100)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = ServerConfig(store=str(tmp_path / "s.db"), data=tmp_path, port=port)
        with pytest.raises(ConfigError, match=rf"cannot listen at 127.0.0.1, port {port}: "):
            serve(config)
    with pytest.raises(ConfigError, match=r"cannot listen at 203.0.113.1, port"):
        serve(config.model_copy(update={"host": "203.0.113.1"}))
    with pytest.raises(ArtifactError, match="cannot be opened as a store"):
        serve(ServerConfig(store=str(tmp_path / "bad.db"), data=tmp_path, port=0))


def test_looking_for_keys_makes_no_file(tmp_path):
    keys = ApiKeys(tmp_path / "data" / "keys.db", create=False)
    assert keys.list() == []
    with pytest.raises(NotFoundError, match="no such key"):
        keys.revoke("0" * 12)
    keys.close()
    assert list(tmp_path.iterdir()) == []


def test_the_page_knows_what_every_method_declares():
    declared = json.loads(page_files()["methods.js"].decode().rpartition("METHODS = ")[2].rstrip().rstrip(";"))
    assert set(declared) == set(METHODS)
    assert [name for name, one in declared.items() if not one["history"]] == [UNPERSONALIZED]
    assert all(one["title"] for one in declared.values())
