"""The server as a process: killed under load it has lost nothing; asked to end it ends."""

import queue
import signal
import threading

import pytest

httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("prometheus_client")

from idiolect.store.sql import SqlStore  # noqa: E402


def test_what_was_acknowledged_survives_a_kill_and_sums_are_exact(tmp_path, process):
    acknowledged, enough = queue.Queue(), threading.Event()

    def write(url, key, who):
        try:
            with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
                for n in range(10_000):
                    review = {"user": f"u{who}", "item": f"i{n % 5}", "text": f"Review {n} by {who}!", "timestamp": n}
                    answer = http.post("/v1/reviews", json=review)
                    assert answer.status_code == 200
                    acknowledged.put(answer.json()["ids"][0])
                    if acknowledged.qsize() >= 60:
                        enough.set()
        except httpx2.HTTPError:
            enough.set()

    with process(tmp_path) as (server, url, key):
        threads = [threading.Thread(target=write, args=(url, key, who)) for who in range(4)]
        for thread in threads:
            thread.start()
        enough.wait()
        server.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join()
    ids = list(acknowledged.queue)
    assert len(ids) >= 60
    with SqlStore(tmp_path / "tenants" / "default" / "store.db", create=False) as store:
        assert len(store.reviews(ids)) == len(set(ids)) == len(ids)
        assert store.vectors(ids, encoder="style-v2-51").shape == (len(ids), 51)
        assert [finding.detail for finding in store.check() if not finding.ok] == []
        total = store.counts().reviews
    with process(tmp_path) as (server, url, _):
        with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
            profiles = [http.get("/v1/profile", params={"user": f"u{who}"}).json()["reviews"] for who in range(4)]
        assert sum(profiles) == total
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
