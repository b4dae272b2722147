"""YAML for every command that has settings: the file counts, flags go before it, a typo is refused by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from idiolect.cli.main import main
from idiolect.context import ContextConfig
from idiolect.encoders import load_encoder
from idiolect.experiments.demo import DemoConfig
from idiolect.store.sql import SqlStore

ROWS = [{"who": f"u{i % 3}", "what": f"i{i % 2}", "said": f"text number {i}"} for i in range(6)]
COLUMNS = {"user": "who", "item": "what", "text": "said"}
THRESHOLDS = {"min_item_users": 2, "min_user_reviews": 6, "min_peers": 2, "min_profile": 2, "min_text_chars": 20}


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Runs a command in a folder of the test's own with a file of settings; gives exit code, record and errors."""
    monkeypatch.chdir(tmp_path)

    def run(command: str, *tokens: str, settings: Any = None) -> tuple[int, Any, str]:
        if settings is not None:
            Path("settings.yaml").write_text(yaml.safe_dump(settings))
            tokens = (*tokens, "--config", "settings.yaml")
        code = 0
        try:
            main([command, *tokens, "--json"])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, json.loads(captured.out) if captured.out else None, captured.err

    return run


@pytest.fixture
def reviews(tmp_path: Path) -> str:
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, {"who": "u0"}]))
    return str(tmp_path / "r.jsonl")


@pytest.mark.parametrize(
    ("command", "settings", "nearest"),
    [
        (["ingest", "r.jsonl"], {"colums": {}}, "columns"),
        (["split", "--out", "s"], {"min_user_review": 3}, "min_user_reviews"),
        (["embed"], {"encode": "hash"}, "encoder"),
        (["sandbox"], {"n_user": 3}, "n_users"),
        (["demo"], {"settings": {"fit": {"epoch": 1}}}, "epochs"),
        (["pretrain", "--out", "lm"], {"max_step": 3}, "max_steps"),
        (["fit", "--split", "s", "--out", "a"], {"context": {"kk": 1}}, "k"),
        (["evaluate", "--split", "s", "--out", "a"], {"sampling": {"temprature": 0}}, "temperature"),
        (["write", "--user", "u", "--item", "i"], {"promt": {}}, "prompt"),
        (["evaluate", "--split", "s", "--out", "a"], {"backbone": {"backend": "fakes"}}, "fake"),
    ],
)
def test_an_unknown_setting_in_a_file_is_refused_with_the_nearest_name(
    call, command: list[str], settings: dict, nearest: str
) -> None:
    code, _, errors = call(*command, settings=settings)
    assert code == 2
    assert f"did you mean '{nearest}'" in errors
    assert {path.name for path in Path().iterdir()} == {"settings.yaml"}


@pytest.mark.parametrize("command", [["ingest", "r.jsonl"], ["split", "--out", "s"], ["embed"], ["sandbox"], ["demo"]])
def test_a_file_that_is_not_there_is_named(call, command: list[str]) -> None:
    code, _, errors = call(*command, "--config", "absent.yaml")
    assert code == 2
    assert "absent.yaml" in errors


def test_ingest_reads_columns_and_tolerance_from_a_file_and_flags_go_before_it(call, reviews: str) -> None:
    settings = {"columns": {**COLUMNS, "text": "missing"}, "category": "tea", "max_rejects": 0.0}
    code, _, errors = call("ingest", reviews, "--column", "text=said", settings=settings)
    assert code == 3
    assert "1 of 7 rows" in errors
    code, record, _ = call("ingest", reviews, "--column", "text=said", "--max-rejects", "0.5", settings=settings)
    assert (code, record["reviews_known"]) == (0, 6)
    with SqlStore("idiolect.db") as store:
        assert all(item.startswith("tea") for item in store.review_frame()["item"])


def test_a_setting_of_the_wrong_kind_is_refused(call, reviews: str) -> None:
    for settings in ({"max_rejects": 2}, {"columns": ["user"]}, {"format": 3}):
        code, _, errors = call("ingest", reviews, settings=settings)
        assert code == 2
        assert next(iter(settings)) in errors


def test_a_world_a_split_and_vectors_come_from_files(call) -> None:
    world = {"seed": 3, "n_users": 12, "n_items": 12, "reviews_per_user": [8, 8], "words": 20}
    code, record, _ = call("sandbox", settings=world)
    assert (code, record["reviews_added"]) == (0, 96)
    code, made, _ = call("split", "--out", "s", "--set", "test=2", settings={"preset": "small", **THRESHOLDS})
    assert code == 0
    assert made["test"] == 2 * made["users"] > 0
    rules = json.loads(next(Path("s").glob("*.json")).read_text())["config"]
    assert (rules["min_text_chars"], rules["require_title"], rules["test"]) == (20, False, 2)
    code, _, errors = call("split", "--out", "d", settings={"preset": "dlp"})
    assert code == 2
    assert "'dpl'" in errors
    code, _, _ = call("split", "--out", "d", "--preset", "dpl", settings={"preset": "small"})
    assert code == 3  # so small a world has nothing that passes these
    code, report, _ = call("embed", "--encoder", "hash:16", settings={"encoder": "hash:32", "batch_size": 5})
    assert (code, report["embedded"], report["encoder"]) == (0, 96, load_encoder("hash:16").name)


def test_the_demo_lays_a_file_on_its_own_defaults(call, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def stop(_: Path, config: Any, **__: Any) -> None:
        seen.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr("idiolect.experiments.demo.run_demo", stop)
    settings = {"world": {"n_users": 30}, "settings": {"fit": {"max_steps": 7}}}
    code, _, _ = call("demo", "--set", "settings.fit.max_steps=9", settings=settings)
    assert code == 130
    (config,), usual = seen, DemoConfig()
    assert (config.world.n_users, config.world.n_items) == (30, usual.world.n_items)
    assert (config.settings.fit.max_steps, config.settings.fit.learning_rate) == (9, usual.settings.fit.learning_rate)
    assert config.settings.context == usual.settings.context != ContextConfig()
