"""Erasing users while others read, write and ask: no error, and nothing of them in anything later."""

import threading
from contextlib import closing

import pytest

pytest.importorskip("prometheus_client")

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
