"""A model behind an endpoint: no likelihoods, no soft prompts, and no answer asked for twice."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from idiolect.config import merge
from idiolect.errors import ConfigError
from idiolect.experiments.commands import cache_path, load_settings, run_evaluate
from idiolect.experiments.live import write_review
from idiolect.experiments.results import read_lines
from idiolect.llm.cache import Cache
from idiolect.llm.failure import EndpointError
from idiolect.store.sql import SqlStore
from idiolect.types import UserId

pytest.importorskip("openai", reason="the extra 'openai' is not installed")
# Test folders are no packages.
_spec = importlib.util.spec_from_file_location("chat_server", Path(__file__).parents[1] / "llm" / "chat_server.py")
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


class Server(_module.ChatServer):
    """Refuses the prompts that hold a word."""

    refused = "\0"

    async def _reply(self, connection: Any, step: str, text: str) -> None:
        await super()._reply(connection, "400" if self.refused in text else step, text)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def changes(job: Any, server: Server, tmp_path: Path) -> dict[str, Any]:
    backbone = {"endpoint": {"model": "m", "base_url": server.url}}
    return {**job.settings, "backbone": backbone, "cache": str(tmp_path / "answers.db")}


@pytest.fixture
def evaluate(job: Any, changes: dict[str, Any]):
    def run(folder: Path, **further: Any) -> dict[str, Any]:
        run_evaluate(job.store, job.split, folder, changes=merge(changes, further.pop("changes", {})), **further)
        return json.loads((folder / "results.json").read_text())

    return run


def test_methods_are_compared_by_their_texts_where_there_is_no_likelihood(evaluate, server, tmp_path: Path) -> None:
    record = evaluate(tmp_path / "out")
    assert "methods" in record["tables"]
    assert not any(name.startswith("controls") for name in record["tables"])
    assert [set(row["scores"]) for row in record["tables"]["methods"]["methods"]] == [{"rougeL"}] * 2
    assert record["verdicts"] == []
    (note,) = record["notes"]
    assert note.startswith("m gives no likelihoods: no column nll")
    assert note in (tmp_path / "out" / "report.md").read_text()
    assert server.requests.total() == 12
    rows = read_lines(tmp_path / "out" / "samples" / "rag.jsonl")
    assert all(row["nll"] is None and row["text"].startswith("re: ") for row in rows)


def test_controls_are_run_where_they_write(evaluate, tmp_path: Path) -> None:
    record = evaluate(tmp_path / "out", generate_controls=True)
    assert [row["name"] for row in record["tables"]["controls of rag"]["methods"]] == ["rag", "rag: wrong user"]


def test_what_was_answered_is_not_asked_for_again_in_another_folder(evaluate, server, tmp_path: Path) -> None:
    evaluate(tmp_path / "a")
    asked = server.requests.total()
    evaluate(tmp_path / "b")
    assert server.requests.total() == asked
    (row, *_) = read_lines(tmp_path / "b" / "samples" / "rag.jsonl")
    assert row["usage"]["write"]["cached"] == 1


def test_erasing_a_review_erases_the_answers_made_from_it(evaluate, changes, tmp_path: Path) -> None:
    evaluate(tmp_path / "a")
    rag, plain = (read_lines(tmp_path / "a" / "samples" / f"{name}.jsonl") for name in ("rag", "nonpersonalized"))
    erased = rag[0]["anchors"][0]
    with Cache(changes["cache"]) as cache:
        before = len(cache)
        assert cache.forget_reviews([erased]) == sum(erased in row["anchors"] for row in rag)
        assert cache.forget_reviews([plain[0]["target"]]) >= 1
        assert len(cache) < before - 1


def test_limits_may_change_between_calls_and_the_model_may_not(evaluate, server, tmp_path: Path) -> None:
    evaluate(tmp_path / "a")
    asked = server.requests.total()
    evaluate(tmp_path / "a", changes={"backbone": {"endpoint": {"limits": {"concurrency": 2}}}, "cache": None})
    assert server.requests.total() == asked
    with pytest.raises(ConfigError, match="another backbone, settings"):
        evaluate(tmp_path / "a", changes={"backbone": {"endpoint": {"model": "other"}}})


def test_texts_that_could_not_be_had_are_counted(job: Any, evaluate, server: Server, tmp_path: Path) -> None:
    server.refused = "Text: "
    record = evaluate(tmp_path / "out")
    assert record["notes"][1] == "rag: 6 of 6 texts are empty, for the model gave no answer"
    assert len(record["notes"]) == 2
    (row, *_) = read_lines(tmp_path / "out" / "samples" / "rag.jsonl")
    assert row["stages"]["failure"].startswith("context_too_long")


def test_a_review_is_written_or_it_is_said_why_not(job: Any, changes, server: Server) -> None:
    with SqlStore(job.store, create=False) as store:
        user = store.users()[0]
        (past, *_) = store.profile(UserId(user))
    asked = {"user": user, "item": past.item, "changes": changes}
    assert write_review(job.store, **asked).text.startswith("re: ")
    server.refused = "Text: "
    with pytest.raises(EndpointError, match="m gave no answer: context_too_long"):
        write_review(job.store, **merge(asked, {"changes": {"cache": None}}))


def test_an_adapter_is_not_used_with_an_endpoint(job: Any, adapter: Path, tmp_path: Path) -> None:
    endpoint = {"backbone": {"endpoint": {"model": "m"}}}
    with pytest.raises(ConfigError, match="endpoint"):
        run_evaluate(job.store, job.split, tmp_path / "out", adapter=adapter, changes=endpoint)
    assert not (tmp_path / "out").exists()


def test_answers_are_recorded_beside_the_store_where_a_model_is_asked_over_http(tmp_path: Path) -> None:
    def where(store: str, **changes: Any) -> Path | None:
        return cache_path(load_settings(changes=changes), store)

    endpoint = {"endpoint": {"model": "m"}}
    assert where("here/reviews.db") is None
    assert where("here/reviews.db", backbone=endpoint) == Path("here/idiolect-cache.db")
    assert where("postgresql://host/reviews", backbone=endpoint) == Path("idiolect-cache.db")
    assert where("here/reviews.db", backbone=endpoint, cache=None) is None
    assert where("here/reviews.db", cache=str(tmp_path / "own.db")) == tmp_path / "own.db"
