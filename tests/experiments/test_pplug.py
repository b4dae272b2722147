"""PPlug from a split to a table, a text and an erasure: the same commands as for DEP."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import idiolect as idl
from idiolect.cli.main import main
from idiolect.config import build
from idiolect.encoders import load_encoder
from idiolect.erasure.forget import forget_user
from idiolect.errors import ArtifactError, ConfigError
from idiolect.evaluation.runner import run_evaluate
from idiolect.pipeline.commands import load_settings, run_fit
from idiolect.pipeline.data import Data
from idiolect.pipeline.results import read_lines
from idiolect.pipeline.settings import Settings
from idiolect.pipeline.write import write_review
from idiolect.softprompt.config import PPlugConfig
from idiolect.store.sql import SqlStore

OWN = {"adapter_method": "pplug", "methods": [], "controls": ["constant"], "adapter": {"sub_histories": 2}}


@pytest.fixture(scope="module")
def pplug(job: Any) -> Path:
    """A fitted adapter and its trained constant; never change it."""
    folder = job.folder / "pplug"
    reports = run_fit(job.store, job.split, folder, changes={**job.settings, **OWN}, backbone=str(job.backbone))
    assert list(reports) == ["pplug", "constant"]
    assert reports["pplug"].steps == reports["constant"].steps == 3
    assert 0 < reports["pplug"].trainable_share < 1
    return folder


@pytest.fixture(scope="module")
def results(job: Any, pplug: Path) -> Path:
    run_evaluate(job.store, job.split, job.folder / "pplug-results", adapter=pplug)
    return job.folder / "pplug-results"


def rows(results: Path, name: str) -> list[dict[str, Any]]:
    return read_lines(results / "samples" / f"{name}.jsonl")


def test_a_folder_says_what_kind_of_adapter_it_holds(pplug: Path) -> None:
    kinds = [json.loads((folder / "config.json").read_text())["kind"] for folder in (pplug, pplug / "constant")]
    assert kinds == ["pplug", "pplug_constant"]
    record = json.loads((pplug / "settings.json").read_text())
    assert record["settings"]["adapter_method"] == "pplug"
    assert json.loads((pplug / "config.json").read_text())["input_encoder"] == "mlp"  # hash has no weights to train
    fits = [json.loads((folder / "fit.json").read_text()) for folder in (pplug, pplug / "constant")]
    assert fits[0]["examples"] == fits[1]["examples"]


def test_it_is_evaluated_with_another_users_vectors_and_a_trained_constant(job: Any, results: Path) -> None:
    controls = ["pplug-another-user-s-vectors", "pplug-trained-constant"]
    ran = {path.stem for path in (results / "samples").iterdir()}
    assert {name for name in ran if name.startswith("pplug")} == {"pplug", *controls}
    found = rows(results, "pplug")
    plain = [row["nll"] for row in found]
    for name in controls:
        assert [row["nll"] for row in rows(results, name)] != plain
    with SqlStore(job.store) as store:
        for row in found:
            own = {review.id for review in store.profile(row["user"])}
            assert set(row["anchors"]) <= own - {row["target"]}
            assert len(row["anchors"]) > 2  # the whole history, and not context.k past reviews
            assert "Text:" not in row["prompt"]


def test_it_writes_from_a_live_store_with_no_method_named(job: Any, pplug: Path) -> None:
    with SqlStore(job.store) as store:
        user, item = store.users()[0], store.item_frame()["item"][0]
        history = [review.id for review in store.profile(user) if review.item != item]
    found = write_review(job.store, user=user, item=item, adapter=pplug)
    assert found.method == "pplug"
    assert list(found.anchors) == history[::-1]


def test_an_adapter_of_another_kind_is_refused(job: Any, pplug: Path, adapter: Path) -> None:
    with SqlStore(job.store) as store:
        asked: dict[str, Any] = {"user": store.users()[0], "item": store.item_frame()["item"][0]}
    with pytest.raises(ArtifactError, match=r"of the kind 'pplug', dep needs 'dep' .*method=auto"):
        write_review(job.store, **asked, adapter=pplug, method="dep")
    with pytest.raises(ArtifactError, match="of the kind 'dep', pplug needs 'pplug'"):
        write_review(job.store, **asked, adapter=adapter, method="pplug")


def test_an_adapter_from_elsewhere_names_a_shipped_method_only(pplug: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(pplug, tmp_path / "copy"))
    record = json.loads((folder / "settings.json").read_text())
    named: dict[str, Any] = {"backbone": record["settings"]["backbone"]["model"], "encoder": "hash:48"}
    assert load_settings(folder, **named).adapter_method == "pplug"
    record["settings"]["adapter_method"] = "evil:Method"
    (folder / "settings.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="adapter_method 'evil:Method', which an adapter"):
        load_settings(folder, **named)


def test_past_texts_stand_in_the_prompt_and_bring_the_wrong_user(job: Any, tmp_path: Path) -> None:
    changes = {**job.settings, **OWN, "controls": [], "adapter": {"past_texts": 1, "sub_histories": 0}}
    folder = tmp_path / "adapter"
    run_fit(job.store, job.split, folder, changes=changes, backbone=str(job.backbone))
    run_evaluate(job.store, job.split, tmp_path / "results", adapter=folder)
    assert (tmp_path / "results" / "samples" / "pplug-wrong-user.jsonl").is_file()
    for row in rows(tmp_path / "results", "pplug"):
        assert row["prompt"].count("Text:") == 1
        assert row["prompt"].index("How this user writes: [") < row["prompt"].index("Past reviews of this user")


def test_everything_of_a_forgotten_user_goes_from_its_results(job: Any, pplug: Path, results: Path, tmp_path) -> None:
    store, out, fitted = (tmp_path / name for name in ("s.db", "results", "adapter"))
    shutil.copy(job.store, store)
    shutil.copytree(results, out)
    shutil.copytree(pplug, fitted)
    user = rows(results, "pplug")[0]["user"]
    with SqlStore(str(store)) as database:
        database.drop_outputs(list(database.outputs()))  # the copied store must not reach the other tests' folders
        database.record_output(out, "evaluation")
        database.record_output(fitted, "fit")
        reviews = [review.id for review in database.profile(user)]
    lent = rows(out, "pplug-another-user-s-vectors")
    receipt = forget_user(str(store), user)
    assert fitted in receipt.not_unlearned
    text = "".join(path.read_text() for path in (out / "samples").iterdir())
    assert not any(f'"{id}"' in text for id in reviews)
    assert f'"{user}"' not in text
    assert len(rows(out, "pplug-another-user-s-vectors")) < len(lent)


class TestSettings:
    def test_the_method_decides_the_adapter(self) -> None:
        settings = build(Settings, {"adapter_method": "pplug", "adapter": {"masked": False}})
        config = settings.adapter_config(d_in=4, hidden_size=8)
        assert (config.kind, config.masked, config.standardise) == ("pplug", False, True)
        paper = build(Settings, {"adapter_method": "pplug", "adapter_preset": "paper"})
        assert paper.adapter_config(d_in=4, hidden_size=8, constant=True).kind == "pplug_constant"
        assert not paper.adapter_config(d_in=4, hidden_size=8).standardise

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"adapter_method": "rag"}, "rag has no adapter to fit"),
            ({"adapter_method": "ppulg"}, "unknown adapter_method 'ppulg'"),
            ({"adapter_method": "pplug", "adapter": {"streams": "his"}}, "streams"),
            ({"adapter_method": "pplug", "controls": ["his_twice"]}, "pplug has no differences: leave out his_twice"),
            ({"adapter_method": "pplug", "vectors": "his_twice"}, "pplug has no differences: leave out vectors"),
            ({"adapter_method": "pplug", "adapter": {"past_texts": 9}}, "past_texts = 9 needs context.k"),
        ],
    )
    def test_what_means_nothing_for_the_method_is_refused(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            build(Settings, changes)

    def test_an_encoder_without_weights_cannot_be_trained(self) -> None:
        encoder = load_encoder("hash:8")
        auto = PPlugConfig(d_in=8, hidden_size=8)
        assert auto.resolved(encoder.name, trainable=False).input_encoder == "mlp"
        with pytest.raises(ConfigError, match="has no weights to train"):
            PPlugConfig(d_in=8, hidden_size=8, input_encoder="encoder").resolved(encoder.name, trainable=False)

    def test_bge_gets_its_instruction(self) -> None:
        found = PPlugConfig(d_in=8, hidden_size=8).resolved("BAAI/bge-base-en-v1.5@abc", trainable=True)
        assert (found.input_encoder, found.query_instruction) == ("encoder", "bge")


def test_the_front_door(job: Any, pplug: Path, adapter: Path) -> None:
    with pytest.raises(ConfigError, match="fitted for 'pplug', not 'dep'"):
        idl.DEP.from_pretrained(pplug)
    with pytest.raises(ConfigError, match="fitted for 'dep', not 'pplug'"):
        idl.PPlug.from_pretrained(adapter)
    with SqlStore(job.store) as store:
        user, item = store.users()[0], store.item_frame()["item"][0]
    with idl.PPlug.from_pretrained(pplug) as loaded:
        assert loaded.write(job.store, user=user, item=item).method == "pplug"
    assert idl.PPlug("fake", k=2).settings["adapter"] == {"past_texts": 2}
    assert idl.PPlug("fake").settings == {"adapter_method": "pplug"}


def test_the_command_line_fits_by_method(job: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = {**job.settings, "controls": [], "adapter": {"sub_histories": 0}, "fit": {"max_steps": 1, "metric": "nll"}}
    settings = [token for name, value in wanted.items() for token in ("--set", f"{name}={json.dumps(value)}")]
    where = ["--split", str(job.split), "--out", str(tmp_path / "a"), "--backbone", str(job.backbone)]
    main(["fit", *where, "--store", job.store, "--method", "pplug", "--json", *settings])
    assert list(json.loads(capsys.readouterr().out)) == ["pplug"]


@pytest.mark.slow
def test_minilm_is_trained_itself(job: Any, tmp_path: Path) -> None:
    store = str(tmp_path / "s.db")
    shutil.copy(job.store, store)
    from idiolect.store.embedding import embed_store

    embed_store(store, "minilm")
    with SqlStore(store) as database:
        changes = {**job.settings, **OWN, "encoder": "minilm", "controls": [], "adapter": {"sub_histories": 0}}
        changes["fit"] = {"max_steps": 1, "batch_size": 2, "metric": "nll"}
        settings = build(Settings, changes)
        assert Data(database, job.split, settings, encoder=load_encoder("minilm")).dim == 384
    reports = run_fit(store, job.split, tmp_path / "a", changes=changes, backbone=str(job.backbone))
    assert reports["pplug"].trainable_parameters > 22_000_000
    assert json.loads((tmp_path / "a" / "config.json").read_text())["input_encoder"] == "encoder"
    with SqlStore(store) as database:
        user, item = database.users()[0], database.item_frame()["item"][0]
    assert write_review(store, user=user, item=item, adapter=tmp_path / "a").method == "pplug"
