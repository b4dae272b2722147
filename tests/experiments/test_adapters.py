"""A fitted adapter is used with what it was fitted with, and with nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.pipeline.adapters import check_adapter, read_record
from idiolect.pipeline.commands import load_settings
from idiolect.pipeline.settings import Settings

RECORD = {"encoder": "hash-48", "backbone": "lm@abc", "store": "s1", "split": "p1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    settings = Settings.model_validate({"encoder": "hash:48", "context": {"k": 2}}).model_dump(mode="json")
    (tmp_path / "settings.json").write_text(json.dumps({"settings": settings, **RECORD}))
    return tmp_path


@pytest.mark.parametrize(
    ("used", "message"),
    [
        ({"encoder": "hash-32"}, "fitted with the encoder 'hash-48', not 'hash-32'"),
        ({"backbone": "lm@def"}, "fitted with the backbone 'lm@abc', not 'lm@def'"),
        ({"split": "p2"}, "another split of this store"),
    ],
)
def test_another_encoder_backbone_or_split_is_refused(folder: Path, used: dict[str, str], message: str) -> None:
    check_adapter(folder, **RECORD)
    with pytest.raises(ArtifactError, match=message):
        check_adapter(folder, **{**RECORD, **used})


def test_another_store_is_fair_whatever_its_split(folder: Path) -> None:
    check_adapter(folder, **{**RECORD, "store": "s2", "split": "p2"})
    check_adapter(folder, encoder="hash-48", backbone="lm@abc")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"settings": {}}', '{"settings": 3}'])
def test_a_damaged_record_is_said_to_be_one(folder: Path, text: str) -> None:
    (folder / "settings.json").write_text(text)
    with pytest.raises(ArtifactError, match="damaged"):
        read_record(folder)


def test_a_folder_without_an_adapter_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="elsewhere"):
        load_settings(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"context": {"k": 3}}, "context"),
        ({"prompt": {"guidance": False}}, "prompt"),
        ({"adapter": {"streams": "diff"}}, "adapter"),
        ({"encoder": "minilm"}, "encoder"),
        ({"peers": "split"}, "peers"),
        ({"backbone": {"model": "other"}}, "backbone.model"),
        ({"backbone": {"max_prompt_tokens": 99}}, "backbone.max_prompt_tokens"),
    ],
)
def test_what_the_adapter_was_fitted_with_cannot_be_changed(folder: Path, changes: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=f"fitted with another {named}"):
        load_settings(folder, changes=changes)


def test_flags_name_the_same_things_as_settings(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"fitted with another backbone\.model, encoder"):
        load_settings(folder, backbone="other", encoder="minilm")
    assert load_settings(folder, encoder="hash:48").encoder == "hash:48"


def test_a_file_of_settings_goes_before_the_adapter_but_for_how_it_was_fitted(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("sampling: {temperature: 0}\nmetrics: [rouge1]\nfit: {epochs: 77}\ncontrols: []\n")
    settings, own = load_settings(folder, config=file, changes={"metrics": ["bleu"]}), load_settings(folder)
    assert (settings.sampling.temperature, settings.metrics) == (0, ("bleu",))
    assert (settings.fit, settings.controls) == (own.fit, own.controls)
    file.write_text("context: {k: 7}\n")
    with pytest.raises(ConfigError, match="fitted with another context"):
        load_settings(folder, config=file)
    file.write_text("no_such: 1\n")
    with pytest.raises(ConfigError, match="unknown setting 'no_such'"):
        load_settings(folder, config=file)


@pytest.mark.parametrize(
    "changes",
    [
        {"sampling": {"temperature": 0}},
        {"metrics": ["rouge1"]},
        {"targets": {"max_test": 3}},
        {"resamples": 200},
        {"seed": 4},
        {"backbone": {"batch_size": 2, "device": "cpu", "dtype": "bfloat16"}},
    ],
)
def test_what_is_asked_of_an_adapter_may_change(folder: Path, changes: dict) -> None:
    settings = load_settings(folder, changes=changes)
    assert settings.context.k == 2
    assert settings != load_settings(folder)


def test_a_relative_folder_is_recorded_by_its_full_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lm").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_settings(backbone="lm").backbone.model == str(tmp_path / "lm")
    assert load_settings(backbone="owner/name").backbone.model == "owner/name"
