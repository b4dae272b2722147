"""Erasing users while others read, write and ask: no error, and nothing of them in anything later."""

import io
import logging
import threading
from contextlib import closing

import pytest

pytest.importorskip("prometheus_client")

from idiolect.difference.stylometry import known
from idiolect.server.http import JsonLines
from idiolect.server.voice import SHIPPED_ADAPTER
from idiolect.store.sql import SqlStore

ASK = {"model": "idiolect/rag", "messages": [{"role": "user", "content": "jam"}]}


def test_users_are_erased_while_others_read_and_write(fresh, upstream):
    enough, errors, done = threading.Event(), [], []

    def work(n):
        with fresh.http() as http:
            for k in range(10_000):
                if enough.is_set():
                    return
                review = {"user": f"w{n}", "item": "jam", "text": f"Note {k} of {n}."}
                answers = [
                    http.post("/v1/reviews", json=review),
                    http.post("/v1/chat/completions", json={**ASK, "user": "bob"}),
                    http.get("/v1/profile", params={"user": "cyd"}),
                ]
                errors.extend(answer.text for answer in answers if answer.status_code != 200)
                done.append(k)

    def add_and_forget(n):
        user = {"user": f"gone{n}"}
        with fresh.http() as http:
            for k in range(3):
                answer = http.post("/v1/reviews", json={**user, "item": "jam", "text": f"A quodlibet of {n} {k}."})
                errors.extend([answer.text] if answer.status_code != 200 else [])
            receipt = http.delete("/v1/users", params=user).json()
            upstream.bodies.clear()
            chat = http.post("/v1/chat/completions", json={**ASK, **user}).json()
            return receipt["receipt"]["reviews"], chat["idiolect"]["reason"]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    found = [add_and_forget(n) for n in range(3)]
    enough.set()
    for thread in threads:
        thread.join()
    assert found == [(3, "the user is not known")] * 3
    assert errors == []
    assert done
    with fresh.http() as http:  # with nobody reading, old bytes go too
        assert http.delete("/v1/users", params={"user": "gone0"}).json()["receipt"]["vacuumed"] is True
    tenant = fresh.services.tenants.get("default")
    with closing(SqlStore(tenant.where)) as store:
        assert [finding.detail for finding in store.check() if not finding.ok] == []
        assert {"gone0", "gone1", "gone2"}.isdisjoint(store.users())
    tenant.close()
    for file in fresh.config.data.rglob("*"):
        assert not file.is_file() or b"quodlibet" not in file.read_bytes(), file
    assert "quodlibet" not in str(upstream.bodies)


ITEMS = ("tea", "jam", "ale", "pie", "fig", "rye")


def routes_of(schema):
    """Every GET route with parameters that it accepts."""
    given = {"user": "bob", "difference": "exclamations", "name": "x", "number": 0, "q": "", "k": 5}
    for path, methods in schema["paths"].items():
        if "get" in methods and "{" not in path:
            names = {parameter["name"] for parameter in methods["get"].get("parameters", ())}
            yield path, {name: value for name, value in given.items() if name in names}


def test_nothing_of_an_erased_user_is_in_a_log_a_cache_or_an_answer(start, tmp_path, upstream):
    """The user's id and a word of theirs, through every route that reads all users, and through errors."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(JsonLines())
    logs = [logging.getLogger(name) for name in ("", "idiolect", "uvicorn", "sqlalchemy.engine")]
    before = [(log, log.level) for log in logs]
    endpoint = {"base_url": f"{upstream.address}/v1", "model": "m-1"}
    settings = {"endpoint": endpoint, "min_peers": 1, "adapter": SHIPPED_ADAPTER, "burst": 5000}
    gone, marks = {"user": "gonnerieux-17"}, ("gonnerieux", "quodlibet")
    with start(tmp_path / "data", **settings) as own, own.http() as http:
        for log in logs:
            log.setLevel(logging.DEBUG)
        logs[0].addHandler(handler)
        try:
            others = [
                {"user": user, "item": item, "text": f"The {item} was fine with {user}, I suppose. {n}."}
                for user in ("bob", "cyd", "dan", "eve")
                for n, item in enumerate(ITEMS)
            ]
            assert http.post("/v1/reviews/batch", json={"reviews": others}).status_code == 200
            for n, item in enumerate(ITEMS):
                review = {**gone, "item": item, "text": f"A quodlibet, the {item}! Number {n}!"}
                key = {"Idempotency-Key": f"quodlibet-{n}"}
                assert http.post("/v1/reviews", json=review, headers=key).status_code == 200
            tenant = own.services.tenants.get("default")
            seen = [http.get(path, params={**given, **(gone if "user" in given else {})}).text
                    for path, given in routes_of(own.app.openapi())]  # fmt: skip
            assert any("quodlibet" in one for one in seen)
            assert any("gonnerieux" in one for one in seen)
            http.post("/v1/chat/completions", json={**ASK, **gone})
            http.post("/v1/score", json={**gone, "text": "A quodlibet!"})
            wrong = [
                http.post("/v1/reviews", json={**gone, "item": "jam", "text": "quodlibet", "rating": 10**9}),
                http.post("/v1/reviews", json={**review, "text": "quodlibet!"}, headers=key),
                http.post("/v1/reviews", content='{"text": "quodlibet'),
                http.post("/v1/chat/completions", json={**ASK, **gone, "model": "idiolect/quodlibet"}),
                http.get("/v1/quodlibet/gonnerieux"),
            ]
            assert [answer.status_code for answer in wrong] == [400, 409, 400, 404, 404]
            assert not any(mark in answer.text for mark in marks for answer in wrong)
            assert known.known_measures._rows
            receipt = http.delete("/v1/users", params=gone)
            assert receipt.json()["receipt"]["reviews"] == len(ITEMS)
            assert not any(mark in receipt.text for mark in marks)
            assert not known.known_measures._rows
            assert not known.known_languages._rows
            kept = (tenant._map, tenant._anonymous, tenant._units, tenant._claims)
            assert [one._last for one in kept] == [None] * 4
            upstream.bodies.clear()
            for path, given in routes_of(own.app.openapi()):
                answer = http.get(path, params=given)
                assert answer.status_code < 500, (path, answer.text)
                assert not any(mark.encode() in answer.content for mark in marks), path
            for body in ({**ASK, "user": "bob"}, {**ASK, **gone}):
                answer = http.post("/v1/chat/completions", json=body)
                assert answer.status_code == 200
                assert not any(mark in answer.text for mark in marks)
            assert http.get("/v1/profile", params=gone).status_code == 404
            assert not any(mark in str(upstream.bodies) for mark in marks)
        finally:
            logs[0].removeHandler(handler)
            for log, level in before:
                log.setLevel(level)
    lines = said.getvalue()
    assert '"route": "/v1/reviews"' in lines
    assert not any(mark in lines for mark in marks)
    for file in (tmp_path / "data").rglob("*"):
        assert not file.is_file() or not any(mark.encode() in file.read_bytes() for mark in marks), file
