"""Two servers on one PostgreSQL: what one writes the other sees, and a kill of one loses nothing."""

import queue
import signal
import threading
from contextlib import ExitStack

import pytest

httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("prometheus_client")

from idiolect.store.sql import SqlStore  # noqa: E402

KEY = "a-key-of-both-of-the-servers"


def client(url):
    return httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)


def at_once(*works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def write_and_forget(one, other):
    """What one server stores and forgets, the other answers with."""
    for n in range(3):
        made = one.post("/v1/reviews", json={"user": "ann", "item": f"i{n}", "text": f"Wow!! Number {n}!"})
        assert made.status_code == 200, made.text
        assert other.get("/v1/profile", params={"user": "ann"}).json()["reviews"] == n + 1
    ask = {"model": "idiolect/rag/ann", "messages": [{"role": "user", "content": "Number"}]}
    told = other.post("/v1/chat/completions", json=ask).json()["idiolect"]
    assert (told["personalized"], len(told["evidence"])) == (True, 3)
    assert other.put("/v1/differences/length", params={"user": "ann"}, json={"state": "muted"}).status_code == 200
    assert one.get("/v1/profile", params={"user": "ann"}).json()["corrections"] == 1
    assert one.delete("/v1/users", params={"user": "ann"}).json()["receipt"]["reviews"] == 3
    assert other.get("/v1/profile", params={"user": "ann"}).status_code == 404
    told = other.post("/v1/chat/completions", json=ask).json()["idiolect"]
    assert (told["personalized"], told["reason"]) == (False, "the user is not known")


def repeat(urls):
    """The same request to both at once, as after a timeout, is one review."""
    found = queue.Queue()

    def send(url):
        with client(url) as http:
            for n in range(15):
                review = {"user": "dan", "item": "jam", "text": f"Fine, {n} times."}
                answer = http.post("/v1/reviews", json=review, headers={"Idempotency-Key": f"order-{n}"})
                found.put((answer.status_code, answer.json().get("ids")))

    at_once(*(lambda url=url: send(url) for url in urls))
    answers = list(found.queue)
    assert {status for status, _ in answers} == {200}
    assert len({ids[0] for _, ids in answers}) == 15
    with client(urls[0]) as http:
        assert http.get("/v1/profile", params={"user": "dan"}).json()["reviews"] == 15


def kill_one(running, urls):
    """Ids that both acknowledged while one was killed."""
    acknowledged, enough = queue.Queue(), threading.Event()
    stopped = threading.Event()

    def write(url, who):
        try:
            with client(url) as http:
                for n in range(10_000):
                    if stopped.is_set():
                        return
                    review = {"user": f"u{who}", "item": f"i{n % 5}", "text": f"Review {n} by {who}!"}
                    answer = http.post("/v1/reviews", json=review)
                    assert answer.status_code == 200, answer.text
                    acknowledged.put((url, answer.json()["ids"][0]))
                    if acknowledged.qsize() >= 40:
                        enough.set()
        except httpx2.HTTPError:
            assert url == urls[0]

    def kill():
        enough.wait()
        running.send_signal(signal.SIGKILL)
        running.wait()
        after = sum(url == urls[1] for url, _ in list(acknowledged.queue))
        while sum(url == urls[1] for url, _ in list(acknowledged.queue)) < after + 10:  # the other one goes on
            stopped.wait(0.05)
        stopped.set()

    at_once(kill, *(lambda url=url, who=who: write(url, who) for who, url in enumerate(urls * 2)))
    return [id for _, id in acknowledged.queue]


def test_two_servers_share_a_store(tmp_path, process, postgres):
    where = postgres()
    with ExitStack() as stack:
        first, *_ = both = [
            stack.enter_context(process(tmp_path / name, store=where, key=KEY)) for name in ("one", "other")
        ]
        urls = [url for _, url, _ in both]
        with client(urls[0]) as one, client(urls[1]) as other:
            write_and_forget(one, other)
        repeat(urls)
        ids = kill_one(first[0], urls)
    with SqlStore(where, create=False) as store:
        assert len(store.reviews(ids)) == len(set(ids)) == len(ids)
        assert store.vectors(ids, encoder="style-v2-51").shape == (len(ids), 51)
        assert [finding.detail for finding in store.check() if not finding.ok] == []
        assert "ann" not in store.users()
