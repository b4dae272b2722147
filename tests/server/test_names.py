"""Who else is in a store: keys with the scope admin see ids, others only if the operator allows it."""

import io
from contextlib import ExitStack

import numpy as np
import polars as pl
import pytest

pytest.importorskip("prometheus_client")

from idiolect.difference.stylometry import NAMES
from idiolect.server.names import anonymous, pseudonym

USERS = ["ann", "bob", "cyd", "dan", "eve"]
ANN = {"user": "ann"}


def rows():
    said = {
        "ann": "Wow!! I love it! {}!",
        "bob": "The {} was fine, I suppose.",
        "cyd": "So; the {}, which I had, is odd.",
    }
    others = {"dan": "never again, {}", "eve": "Five stars for the {}. Buy it. Buy two."}
    return [
        {"user": user, "item": f"i{n}", "text": text.format(f"tea number {n}"), "timestamp": n}
        for user, text in {**said, **others}.items()
        for n in range(6)
    ]


@pytest.fixture(scope="module")
def people(start, upstream, tmp_path_factory):
    endpoint = {"base_url": f"{upstream.address}/v1", "model": "m-1"}
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("people")
        running = stack.enter_context(start(folder, endpoint=endpoint, burst=5000))
        with running.http() as http:
            assert http.post("/v1/reviews/batch", json={"reviews": rows()}).status_code == 200
        yield running


def asked(server, *scopes):
    """What a key with these scopes sees of all users."""
    _, key = server.services.keys.add("default", scopes)
    with server.http(key) as http:
        columns = {
            name: np.frombuffer(http.get("/v1/map/columns", params={"name": name}).content, dtype="<f4")
            for name in ("x", "items", "exclamations")
        }
        return {
            "all": http.get("/v1/users").json()["users"],
            "part": http.get("/v1/users", params={"q": "a"}).json()["users"],
            "whole": http.get("/v1/users", params={"q": "ann"}).json()["users"],
            "rest": http.get("/v1/users", params={"offset": 1}).json()["users"],
            "nearest": http.get("/v1/nearest", params=ANN).json()["nearest"],
            "map": http.get("/v1/map").json()["users"],
            "columns": columns,
            "file": pl.read_parquet(io.BytesIO(http.get("/v1/map/parquet").content)),
            "overview": http.get("/v1/overview").json()["show_users"],
            "stranger": http.get("/v1/nearest", params={"user": "nobody"}).status_code,
        }


@pytest.mark.parametrize("scopes", [("read", "admin"), ("read", "write", "erase", "admin")])
def test_a_key_with_the_scope_admin_sees_ids(people, scopes):
    found = asked(people, *scopes)
    assert [one["user"] for one in found["all"]] == USERS
    assert found["rest"] == found["all"][1:]
    assert {one["user"] for one in found["part"]} == {"ann", "dan"}
    assert {one["user"] for one in found["nearest"]} == set(USERS) - {"ann"}
    assert found["map"] == USERS == found["file"]["user"].to_list()
    assert found["overview"] is True


@pytest.mark.parametrize("scopes", [("read",), ("read", "write"), ("read", "write", "erase")])
def test_a_key_without_it_sees_pseudonyms_that_hold_together(people, scopes):
    found, full = asked(people, *scopes), asked(people, "read", "admin")
    assert (found["all"], found["part"]) == ([], [])
    assert found["whole"] == [{"user": "ann", "reviews": 6}]
    assert found["stranger"] == 404
    assert found["overview"] is False
    names = {user: pseudonym(user, people.services.tenants.secret) for user in USERS}
    assert {one["user"] for one in found["nearest"]} == {names[user] for user in USERS if user != "ann"}
    assert [one["similarity"] for one in found["nearest"]] == [one["similarity"] for one in full["nearest"]]
    assert found["map"] == sorted(names.values()) == found["file"]["user"].to_list()
    for name, column in found["columns"].items():
        shown = dict(zip(found["map"], column.tolist(), strict=True))
        known = dict(zip(full["map"], full["columns"][name].tolist(), strict=True))
        assert {names[user]: value for user, value in known.items()} == shown
    assert found["file"]["exclamations"].to_list() == found["columns"]["exclamations"].tolist()
    assert not any(user in str(value) for user in ("bob", "cyd", "eve") for value in found.values())


@pytest.mark.parametrize("scopes", [("write",), ("erase",), ("admin",)])
def test_without_the_scope_read_nothing_of_others_is_seen(people, scopes):
    _, key = people.services.keys.add("default", scopes)
    with people.http(key) as http:
        for path in ("users", "nearest?user=ann", "map", "map/columns?name=x", "map/parquet", "units"):
            assert http.get(f"/v1/{path}").status_code == 403


def test_an_operator_may_show_ids_and_nobody_is_placed_by_too_few_peers(start, tmp_path, upstream):
    endpoint = {"base_url": f"{upstream.address}/v1", "model": "m-1"}
    common = {"endpoint": endpoint, "min_peers": 2}
    with start(tmp_path / "shown", show_users=True, **common) as shown, shown.http() as http:
        http.post("/v1/reviews/batch", json={"reviews": rows()})
        assert asked(shown, "read")["map"] == USERS
    with start(tmp_path / "few", **common) as few, few.http() as http:
        http.post("/v1/reviews/batch", json={"reviews": [one for one in rows() if one["user"] in USERS[:3]]})
        assert len(asked(few, "read")["nearest"]) == 2
        http.delete("/v1/users", params={"user": "cyd"})
        assert http.get("/v1/map").json()["users"] == []
        assert http.get("/v1/nearest", params=ANN).status_code == 404


def test_an_erased_or_hidden_user_leaves_the_map_of_another_process_at_once(people):
    """The map is kept for a while when reviews are added, but not beyond an erasure."""
    tenant = people.services.tenants.get("default")
    before = tenant.people(3)
    tenant.add([], [], ())
    assert tenant.people(3) is before
    state = tenant._state(3)
    with tenant.writing() as store:  # as another process does, which drops nothing here
        store.set_peer("eve", False)
    assert tenant._state(3).split()[1:] != state.split()[1:]
    assert "eve" not in tenant.people(3).users
    assert "eve" not in {one.user for one in tenant.people(3).nearest("ann", 9)}
    with tenant.writing() as store:
        store.set_peer("eve", True)
        assert "eve" in tenant.people(3).users
        store.forget("eve")
    assert "eve" not in tenant.people(3).users
    assert len(tenant.shown_people(3, b"x").people.users) == 4


def test_the_order_of_an_anonymous_map_says_nothing_of_the_ids(people):
    tenant = people.services.tenants.get("default")
    orders = {tuple(anonymous(tenant.people(1), bytes([n])).ids) for n in range(1, 9)}
    assert len(orders) > 1
    assert len(NAMES) == tenant.people(1).effects.shape[1]
