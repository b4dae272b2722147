"""REST: reviews in; profiles, differences, texts, scores, exports and receipts out."""

import json
import shutil
import threading
import time
from contextlib import closing, contextmanager

import pytest

pytest.importorskip("prometheus_client")

import idiolect as idl
from idiolect.errors import ArtifactError
from idiolect.server.tenants import Tenant
from idiolect.server.voice import SHIPPED_ADAPTER
from idiolect.store.sql import SqlStore

REVIEW = {"user": "ann", "item": "nut", "text": "Wow!! A nut! Amazing!"}
ANN = {"user": "ann"}


def ok(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json()


def tenant(server):
    return server.services.tenants.get("default")


def test_an_added_review_has_its_vector_and_sums_at_once(fresh):
    with fresh.http() as http:
        added = ok(http.post("/v1/reviews", json=REVIEW))
        assert (added["reviews_added"], added["refused"]) == (1, [])
        listed = ok(http.get("/v1/reviews", params={**ANN, "limit": 1, "offset": 6}))
    assert (listed["total"], listed["reviews"][0]["text"]) == (7, REVIEW["text"])
    store = tenant(fresh).store
    assert store.vectors(added["ids"], encoder="style-v2-51").shape == (1, 51)
    assert store.peer_sums(["nut"], exclude="bob", encoder="style-v2-51").counts.tolist() == [1]
    assert [finding.detail for finding in store.check() if not finding.ok] == []


def test_the_same_idempotency_key_adds_once(fresh):
    with fresh.http() as http:
        first, again = (ok(http.post("/v1/reviews", json=REVIEW, headers={"Idempotency-Key": "k1"})) for _ in range(2))
        other = http.post("/v1/reviews", json={**REVIEW, "text": "Other."}, headers={"Idempotency-Key": "k1"})
        batch = {"reviews": [REVIEW, REVIEW]}
        whole = [ok(http.post("/v1/reviews/batch", json=batch, headers={"Idempotency-Key": "k2"})) for _ in range(2)]
    assert first["ids"] == again["ids"]
    assert (again["reviews_added"], again["reviews_known"]) == (0, 1)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert [one["reviews_added"] for one in whole] == [2, 0]


def test_one_key_at_once_adds_once(fresh):
    answers = []

    def add():
        with fresh.http() as http:
            answers.append(ok(http.post("/v1/reviews", json=REVIEW, headers={"Idempotency-Key": "k"})))

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one["reviews_added"] for one in answers) == 1


def test_wrong_rows_are_refused_with_the_reason(fresh):
    with fresh.http() as http:
        report = ok(http.post("/v1/reviews/batch", json={"reviews": [{**REVIEW, "id": "ann-jam"}, REVIEW]}))
        assert [one["id"] for one in report["refused"]] == ["ann-jam"]
        assert report["reviews_added"] == 1
        assert http.post("/v1/reviews", json={**REVIEW, "id": "ann-jam"}).status_code == 409
        wrong = [{"text": " "}, {"text": ""}, {"user": ""}, {"rating": 999}, {"rating": "x"}, {"timestamp": 10**18}]
        for change in [*wrong, {"timestamp": 0.5}, {"item": "a" * 600}, {"extra": 1}, {"text": 5}, {"text": "\ud800"}]:
            answer = http.post("/v1/reviews", content=json.dumps({**REVIEW, **change}))
            assert answer.status_code == 400, (change, answer.text)
            assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
        many = {"reviews": [REVIEW] * 1001}
        assert http.post("/v1/reviews/batch", json=many).status_code == 413


def test_a_rating_may_be_a_text_as_files_have_it(fresh):
    with fresh.http() as http:
        ids = [ok(http.post("/v1/reviews", json={**REVIEW, "rating": one}))["ids"][0] for one in ("4/5", "★★½", 3, "")]
        held = ok(http.get("/v1/reviews", params={"user": REVIEW["user"], "limit": 100}))["reviews"]
        assert [{one["id"]: one["rating"] for one in held}[id] for id in ids] == [4, 2.5, 3, None]
        for path, body in (("/v1/reviews", REVIEW), ("/v1/write", {**ANN, "item": "jam"})):
            wrong = http.post(path, json={**body, "rating": "good"})
            assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "rating")
            assert "no rating (such as 4, 4.5 or 4/5)" in wrong.json()["error"]["message"]


def test_a_profile_counts_and_dates(server):
    with server.http() as http:
        found = ok(http.get("/v1/profile", params=ANN))
        assert found == {
            "user": "ann", "reviews": 6, "items": 6, "first": 10**9, "last": 10**9 + 5, "peer": True, "corrections": 0,
        }  # fmt: skip
        assert http.get("/v1/profile", params={"user": "nobody"}).json()["error"]["code"] == "not_found"


def test_differences_have_evidence_and_are_muted_corrected_and_undone(fresh, upstream):
    ask = {"model": "idiolect/drp/ann", "messages": [{"role": "user", "content": "jam"}]}

    def profile(http):
        ok(http.post("/v1/chat/completions", json=ask))
        return upstream.bodies[-1]["messages"][0]["content"]

    def state(http):
        found = ok(http.get("/v1/differences", params=ANN))
        return found, {one["difference"]: one["state"] for one in found["differences"]}

    with fresh.http() as http:
        found, states = state(http)
        assert "sentence_length" in states
        own = [review["text"] for review in ok(http.get("/v1/reviews", params=ANN))["reviews"]]
        quotes = [quote["text"] for one in found["differences"] for quote in one["quotes"]]
        assert quotes
        assert all(any(quote in text for text in own) for quote in quotes)
        assert all("was fine" not in json.dumps(one) for one in found["differences"])
        before = profile(http)
        assert "clipped sentences" in before
        ok(http.put("/v1/differences/sentence_length", params=ANN, json={"state": "muted"}))
        assert state(http)[1]["sentence_length"] == "muted"
        assert "clipped sentences" not in profile(http)
        store = idl.Store(fresh.services.config.store_of("default"))
        card = store.explain("ann", min_peers=3)
        assert "sentence_length" not in [shown.claim.measure.name for shown in card.measured]
        assert "muted" in [one.reason for one in card.rejected]
        said = {"state": "corrected", "text": "I shout only about jam."}
        ok(http.put("/v1/differences/writing/sentence-complexity", params=ANN, json=said))
        assert "I shout only about jam." in profile(http)
        assert "I shout only about jam." in store.explain("ann", min_peers=3).corrected
        for name in ("sentence_length", "writing/sentence-complexity"):
            ok(http.delete(f"/v1/differences/{name}", params=ANN))
        assert http.delete("/v1/differences/sentence_length", params=ANN).status_code == 404
        assert state(http)[1] == states
        assert profile(http) == before
        assert http.put("/v1/differences/shoe-size", params=ANN, json={"state": "muted"}).status_code == 400
        assert http.put("/v1/differences/length", params=ANN, json={"state": "corrected"}).status_code == 400


@pytest.mark.parametrize("method", ["pag", "dpl", "drp"])
def test_every_method_with_differences_honours_corrections(fresh, upstream, method):
    said = {"state": "corrected", "text": "Only when happy."}
    with fresh.http() as http:
        ok(http.put("/v1/differences/sentence_length", params=ANN, json=said))
        ask = {"model": f"idiolect/{method}/ann", "messages": [{"role": "user", "content": "jam"}]}
        ok(http.post("/v1/chat/completions", json=ask))
    system = upstream.bodies[-1]["messages"][0]["content"]
    assert "In their own words: Only when happy." in system
    assert "clipped sentences" not in system
    with fresh.http() as http:
        for corrections in (True, False):
            ok(http.post("/v1/write", json={**ANN, "item": "jam", "method": method, "corrections": corrections}))
            prompt = json.dumps(upstream.bodies[-1]["messages"])
            assert ("Only when happy." in prompt) is corrections


def test_methods_without_words_honour_corrections_too(fresh, upstream, start, tmp_path):
    """RAG behind the upstream and DEP in this process: said in a note, and undone without a trace."""
    difference, ask = "/v1/differences/exclamations", {**ANN, "item": "jam", "k": 1, "max_tokens": 3, "temperature": 0}
    calm = {**REVIEW, "text": "A nut. I had it with tea, and it was what it is."}

    def note(http, method):
        notes = ok(http.post("/v1/write", json={**ask, "method": method}))["idiolect"].get("notes", [])
        return [one for one in notes if "exclamations" in one]

    with fresh.http() as http:
        ok(http.post("/v1/reviews", json=calm))
        for state, shouts in (("active", True), ("muted", False), ("active", True)):
            if state == "muted":
                ok(http.put(difference, params=ANN, json={"state": "muted"}))
            prefers = ["muted: exclamations; past texts that show it least come first"] if state == "muted" else []
            assert note(http, "rag") == prefers
            assert ("Amazing!" in json.dumps(upstream.bodies[-1])) is shouts
            http.delete(difference, params=ANN)
        reviews = [review for user in ("ann", "bob", "cyd", "dan", "eve") for review in texts_of(http, user)]

    with start(tmp_path / "own", min_peers=1) as own, own.http() as http:
        ok(http.post("/v1/reviews/batch", json={"reviews": reviews}))
        http.put(difference, params=ANN, json={"state": "corrected", "text": "Only about jam."})
        assert note(http, "dep") == ["corrected: exclamations; removed from the vectors"]
        ok(http.delete(difference, params=ANN))
        assert note(http, "dep") == []
        ok(http.delete("/v1/users", params={"user": "eve"}))
        assert not tenant(own)._erasures  # nothing is left that was fitted to an erased user


def texts_of(http, user):
    """A user's reviews, as they are added."""
    found = ok(http.get("/v1/reviews", params={"user": user}))["reviews"]
    return [{name: one[name] for name in ("id", "user", "item", "text")} for one in found]


def test_a_text_is_written_by_the_methods_own_prompt(server, upstream):
    with server.http() as http:
        found = ok(
            http.post("/v1/write", json={**ANN, "item": "jam", "rating": "4/5", "method": "rag", "max_tokens": 7})
        )
        assert http.post("/v1/write", json={"user": "nobody", "item": "jam"}).status_code == 404
        assert http.post("/v1/write", json={**ANN, "item": "jam", "method": "dep"}).status_code == 400
    assert found["text"] == "one two three"
    assert "ann-jam" not in found["idiolect"]["evidence"]  # what the user wrote about the item is the answer asked for
    assert found["idiolect"]["cost"]["prompt_tokens"] == 11
    body = upstream.bodies[-1]
    assert (body["max_tokens"], "Past reviews of this user" in body["messages"][-1]["content"]) == (7, True)


def test_a_score_lies_between_others_and_the_user(server):
    with server.http() as http:
        own = ok(http.post("/v1/score", json={**ANN, "text": "Wow!! I love the gin! You must try it! Amazing!"}))
        other = ok(http.post("/v1/score", json={**ANN, "text": "The gin was fine. It did what it should."}))
        foreign = ok(http.post("/v1/score", json={**ANN, "text": "Der Gin ist sehr gut und ich mag ihn nicht."}))
        unlike = ok(http.post("/v1/score", json={"user": "bob", "text": "The gin was fine."}))
        assert http.post("/v1/score", json={**ANN, "text": "  "}).status_code == 400
    assert own["likeness"] > 0.6 > 0.4 > other["likeness"]
    assert own["low"] < own["likeness"] < own["high"]
    assert own["above_others"] > 0.9 > 0.1 > other["above_own"]
    assert other["floor"] == pytest.approx(own["floor"])
    assert own["floor"] < 0.4 < 0.6 < own["ceiling"]
    assert own["separation"] > 0.9
    assert other["departures"]
    assert (foreign["likeness"], foreign["reason"]) == (
        None, "the text is not in English, and only English is measured",
    )  # fmt: skip
    assert "was fine" not in json.dumps([own, other, unlike])


def test_drift_is_tested_on_dated_reviews(fresh):
    calm, loud = "The tea was fine. I had it at home and it did well.", "Wow!! Amazing!! I love it!! So good!!"
    reviews = [
        {"user": "kim", "item": f"i{n}", "text": f"{calm if n < 8 else loud}", "timestamp": n} for n in range(16)
    ]
    with fresh.http() as http:
        ok(http.post("/v1/reviews/batch", json={"reviews": reviews}))
        changed = ok(http.get("/v1/drift", params={"user": "kim"}))
        few = ok(http.get("/v1/drift", params=ANN))
    assert changed["changed"] is True
    assert changed["p"] < 0.01
    assert [one["n_reviews"] for one in changed["windows"]] == [4, 4, 4, 4]
    assert ("exclamations", "rises") in [(one["measure"], one["direction"]) for one in changed["trends"]]
    assert few["changed"] is None


def test_one_user_moves_to_another_tenant(fresh):
    _, key = fresh.services.keys.add("elsewhere")
    with fresh.http() as http, fresh.http(key) as there:
        ok(http.put("/v1/differences/length", params=ANN, json={"state": "muted"}))
        ok(http.put("/v1/peer", json={**ANN, "peer": False}))
        export = ok(http.get("/v1/export", params=ANN))
        assert there.get("/v1/export", params=ANN).status_code == 404
        assert ok(there.post("/v1/import", json=export))["reviews_added"] == 6
        assert ok(there.post("/v1/import", json=export))["reviews_known"] == 6
        assert ok(there.get("/v1/export", params=ANN)) == export
        export["reviews"][0]["user"] = "bob"
        assert there.post("/v1/import", json=export).status_code == 400
    assert export["items"][0]["description"].endswith("as one buys it")


def test_an_export_is_taken_in_however_many_rows_it_has(start, tmp_path):
    with start(tmp_path, max_batch=3) as running, running.http() as http:
        for item in ("tea", "jam", "pie"):
            review = {"user": "ann", "item": item, "text": f"Wow! I love {item}!", "timestamp": 7}
            ok(http.post("/v1/reviews/batch", json={"reviews": [review], "items": [{"id": item, "title": item}]}))
        whole = ok(http.get("/v1/export", params={"user": "ann"}))
        ok(http.delete("/v1/users", params={"user": "ann"}))
        assert ok(http.post("/v1/import", json=whole))["reviews_added"] == 3
        assert ok(http.get("/v1/export", params={"user": "ann"})) == whole


def test_nothing_is_kept_of_a_user_without_a_text(fresh):
    secret = {"difference": "exclamations", "text": "A secret statement."}
    with fresh.http() as http:
        empty = {"user": "ghost", "corrections": [secret], "peer": False}
        assert http.post("/v1/import", json=empty).status_code == 404
        assert http.put("/v1/peer", json={"user": "ghost", "peer": False}).status_code == 404
    store = tenant(fresh).store
    assert (store.corrections("ghost"), store.opted_out()) == ([], [])


@pytest.mark.parametrize(
    "send",
    [
        lambda http: http.put("/v1/differences/exclamations", params=ANN, json={"state": "muted"}),
        lambda http: http.put("/v1/peer", json={"user": "ann", "peer": False}),
    ],
)
def test_what_waited_while_the_user_was_forgotten_is_not_kept(fresh, monkeypatch, send):
    writing = Tenant.writing

    @contextmanager
    def after_an_erasure(self):
        with writing(self) as store:
            store.forget("ann")
            yield store

    monkeypatch.setattr(Tenant, "writing", after_an_erasure)
    with fresh.http() as http:
        assert send(http).status_code == 404
    store = tenant(fresh).store
    assert (store.corrections("ann"), store.opted_out()) == ([], [])


def test_a_body_that_is_not_said_to_be_json_is_refused_with_the_header_that_is_missing(server):
    with server.http() as http:
        answer = http.post("/v1/score", content=b'{"user": "ann"}', headers={"content-type": "text/plain"})
    assert answer.status_code == 400
    assert "Content-Type: application/json" in answer.json()["error"]["message"]


def test_a_forgotten_user_is_in_no_answer_log_or_file(fresh, upstream, caplog):
    caplog.set_level("DEBUG")
    data = fresh.config.data
    ask = {"model": "idiolect/drp/ann", "messages": [{"role": "user", "content": "jam"}]}
    with fresh.http() as http:
        ok(http.post("/v1/chat/completions", json=ask))
        ok(http.put("/v1/differences/length", params=ANN, json={"state": "corrected", "text": "A zanzibarite oath."}))
        found = ok(http.delete("/v1/users", params=ANN))
        assert (found["forgotten"], found["receipt"]["reviews"], found["receipt"]["vectors"]) == (True, 6, 6)
        assert str(data) not in json.dumps(found)
        again = ok(http.delete("/v1/users", params=ANN))
        assert (again["forgotten"], again["receipt"]["vacuumed"]) == (False, True)
        upstream.bodies.clear()
        chat = ok(http.post("/v1/chat/completions", json=ask))
        assert chat["idiolect"]["reason"] == "the user is not known"
        for path in ("profile", "reviews", "differences", "drift", "export"):
            assert http.get(f"/v1/{path}", params=ANN).status_code == 404
        for user in ("bob", "cyd"):
            ok(http.get("/v1/differences", params={"user": user}))
            ok(http.post("/v1/chat/completions", json={**ask, "model": f"idiolect/dpl/{user}"}))
    assert "zanzibarite" not in json.dumps(upstream.bodies)
    assert "zanzibarite" not in caplog.text
    tenant(fresh).close()
    for file in data.rglob("*"):
        assert not file.is_file() or b"zanzibarite" not in file.read_bytes(), file
    with closing(SqlStore(tenant(fresh).where)) as store:
        assert [finding.detail for finding in store.check() if not finding.ok] == []


def test_the_openapi_page_says_how_requests_are_refused(server):
    schema = server.app.openapi()
    for path, methods in schema["paths"].items():
        for method, one in methods.items():
            assert {"4XX", "5XX"} <= one["responses"].keys(), (method, path)
            assert "422" not in one["responses"]
    assert list(schema["paths"]["/metrics"]["get"]["responses"]["200"]["content"]) == ["text/plain"]
    with server.http() as http:
        answer = http.options("/v1/reviews")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_values_of_another_type_are_refused_and_whole_numbers_taken(server):
    review = {"user": "ann", "item": "jam", "text": "x"}
    with server.http() as http:
        for path, body in (
            ("/v1/reviews", {**review, "timestamp": "12"}),
            ("/v1/reviews", {**review, "timestamp": 1.5}),
            ("/v1/reviews", {**review, "rating": True}),
            ("/v1/items", {"id": 5}),
            ("/v1/keys/0123456789ab/rotate", {"grace_days": "1"}),
        ):
            assert http.post(path, json=body).status_code == 400, body
        assert http.put("/v1/peer", json={"user": "ann", "peer": 0}).status_code == 400
        same = {"id": "ann-jam", "user": "nobody", "item": "jam", "text": "x", "timestamp": 12.0, "rating": 5}
        assert http.post("/v1/reviews", json=same).json()["error"]["code"] == "conflict"


def test_an_adapter_that_does_not_fit_is_named_as_such(start, tmp_path):
    adapter = tmp_path / "secret-place"
    shutil.copytree(SHIPPED_ADAPTER, adapter)
    with start(tmp_path / "data", adapter=adapter) as own, own.http() as http:
        ok(http.post("/v1/reviews", json=REVIEW))
        ask = {**ANN, "item": "tea", "method": "dep", "max_tokens": 2}
        record = json.loads((adapter / "settings.json").read_text(encoding="utf-8"))
        record["encoder"] = "another-encoder"
        (adapter / "settings.json").write_text(json.dumps(record), encoding="utf-8")
        refused = [http.post("/v1/write", json=ask)]
        shutil.rmtree(adapter)
        refused += [http.post("/v1/write", json=ask), http.get("/v1/units")]
        other = http.post("/v1/write", json={**ask, "method": "rag"})
    for answer in refused:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "adapter_error")
        said = answer.json()["error"]["message"]
        assert said.startswith("the server's adapter does not fit")
        assert "secret" not in said
        assert "\n" not in said
    assert other.status_code == 200, other.text


def test_the_stores_log_is_copied_in_the_background_now_and_then(fresh, monkeypatch):
    copied, own = [], tenant(fresh)
    monkeypatch.setattr(own.store, "checkpoint", lambda: copied.append(threading.current_thread().name))
    for _ in range(130):
        own.add([], [], ())
    for _ in range(1000):  # a copy that waits would be cancelled
        if len(copied) == 2:
            break
        time.sleep(0.01)
    own._checkpoints.close()
    assert threading.current_thread().name not in copied
    for _ in range(70):
        own.add([], [], ())  # still works
    with own.erasing() as store:
        assert store.wrote("ann")


def test_each_damaged_part_has_its_own_code(start, tmp_path, monkeypatch, caplog):
    """Files change while the server runs: the store is not blamed for another part, and no path reaches a client."""
    results, adapter = tmp_path / "secret-results", tmp_path / "secret-adapter"
    (results / "first").mkdir(parents=True)
    (results / "first" / "results.json").write_text("{", encoding="utf-8")
    shutil.copytree(SHIPPED_ADAPTER, adapter)
    settings = {"backbone": {"model": str(tmp_path / "secret-model")}}
    both = {"adapter": adapter, "results": (results,), "settings": settings, "min_peers": 1}
    with start(tmp_path / "data", **both) as own, own.http() as http:
        for user in ("ann", "bob", "cyd"):
            for item in ("nut", "fig", "rye"):
                ok(http.post("/v1/reviews", json={**REVIEW, "user": user, "item": item}))
        ask = {**ANN, "item": "tea", "max_tokens": 2}
        answers = [("model", http.post("/v1/write", json={**ask, "method": "rag"}))]
        weights = adapter / "adapter.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
        answers.append(("adapter", http.post("/v1/write", json={**ask, "method": "dep"})))
        answers.append(("adapter", http.get("/v1/units")))
        answers.append(("evaluation", http.get("/v1/evaluations/report", params={"run": "first"})))

        def damaged(name):
            raise ArtifactError(f"cannot read {tmp_path}/secret")

        monkeypatch.setattr(own.services.voices._loaded, "encoder", damaged)
        answers.append(("encoder", http.post("/v1/write", json={**ask, "method": "dep"})))
        (tmp_path / "data" / "names.key").write_bytes(b"short")
        _, key = own.services.keys.add("default", ["read"])
        with own.http(key) as reader:
            answers.append(("keys", reader.get("/v1/map")))
        monkeypatch.setattr(own.services.keys, "find", damaged)
        answers.append(("keys", http.get("/v1/models")))
    for part, answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, f"{part}_error"), answer.text
        assert "secret" not in answer.text
        assert "\n" not in answer.json()["error"]["message"]
    assert "store cannot be used" not in caplog.text
