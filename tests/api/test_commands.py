"""The calls of the root that stand for whole commands."""

import pytest

import idiolect as idl
from idiolect.cli.main import main
from idiolect.errors import ConfigError


def test_a_made_up_world_is_split_and_a_model_is_pretrained_on_it(tmp_path):
    store = idl.Store(tmp_path / "w.db")
    added = idl.make_world(store, truth=tmp_path / "truth.npz", n_users=14, n_items=12, reviews_per_user=(8, 9))
    assert added.reviews_added == len(store) > 100
    split = store.split(tmp_path / "split", preset="small")
    report = idl.pretrain(
        store, tmp_path / "lm", split=split.path, truth=str(tmp_path / "truth.npz"), max_steps=2, held_out=8
    )
    assert report.tokens_seen > 0
    assert (tmp_path / "lm" / "model.safetensors").is_file()
    with pytest.raises(ConfigError, match="n_user"):
        idl.make_world(tmp_path / "x.db", n_user=3)
    assert not (tmp_path / "x.db").exists()


def test_differences_of_an_export_are_written_in_one_call(tmp_path):
    store = idl.Store(tmp_path / "s.db")
    store.add([{"user": user, "item": item, "text": f"{user} of {item}"} for user in "ab" for item in ("x", "y")])
    store.embed("hash")
    store.export(tmp_path / "export")
    done = idl.differences(str(tmp_path / "export"), tmp_path / "out")
    assert (done.reviews, done.compared, done.items) == (4, 4, 2)


def test_the_machine_and_a_store_are_looked_over(tmp_path):
    found = idl.doctor()
    assert found[0].name == "python"
    assert len(found) == len(list(found))
    assert repr(found).splitlines()[0].startswith("ok       python")
    store = idl.Store(tmp_path / "s.db")
    store.add([{"user": "a", "item": "x", "text": "Fine."}])
    assert store.check().ok


def test_a_plan_takes_a_model_or_a_file(tmp_path):
    (tmp_path / "run.yaml").write_text("backbone: {model: 7b}\nfit: {checkpointing: true}\n")
    by_file, by_name = idl.plan(tmp_path / "run.yaml"), idl.plan("7b", settings={"fit": {"checkpointing": True}})
    assert by_file.record() == by_name.record()
    assert by_file.record() != idl.plan("7b").record()


def test_the_server_is_an_application_of_a_store(tmp_path):
    pytest.importorskip("prometheus_client")
    from fastapi.testclient import TestClient

    store, key = idl.Store(tmp_path / "s.db"), "k" * 30
    store.add([{"user": "ann", "item": "x", "text": "Fine."}])
    app = idl.create_app(store, data=tmp_path / "data", key=key, trusted_hosts=["testserver"])
    with TestClient(app) as http:
        assert http.get("/v1/reviews", params={"user": "ann"}).status_code == 401
        answer = http.get("/v1/reviews", params={"user": "ann"}, headers={"authorization": f"Bearer {key}"})
    assert [one["text"] for one in answer.json()["reviews"]] == ["Fine."]
    with pytest.raises(ConfigError, match="min_peer"):
        idl.create_app(store, data=tmp_path / "data", min_peer=5)
    with pytest.raises(ConfigError, match="names no store"):
        idl.create_app(" ")


def test_keys_are_made_listed_and_revoked(tmp_path):
    keys = idl.ApiKeys(str(tmp_path / "keys.db"))
    key, sent = keys.add("shop", ["read"])
    assert keys.find(sent) == key
    keys.revoke(key.id)
    assert keys.find(sent) is None
    keys.close()


@pytest.mark.parametrize(
    ("command", "name"),
    [("demo", "out"), ("study", "say"), ("serve", "config"), ("studio", "browser"), ("table dep/table-9", "seeds")],
)
def test_an_option_of_a_command_is_no_setting(command, name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--set", f"{name}=3"])
    assert ended.value.code == 2
    assert f"unknown setting '{name}'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
