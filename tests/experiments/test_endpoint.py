"""A model behind an endpoint: no likelihoods, no soft prompts, and no answer asked for twice."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from idiolect.config import merge
from idiolect.errors import ConfigError
from idiolect.evaluation.runner import run_evaluate
from idiolect.llm.base import EndpointError
from idiolect.llm.cache import Cache
from idiolect.pipeline.commands import cache_path, load_settings
from idiolect.pipeline.results import read_lines
from idiolect.pipeline.write import write_review
from idiolect.store.sql import SqlStore
from idiolect.types import UserId

pytest.importorskip("openai", reason="the extra 'openai' is not installed")
# Test folders are no packages.
_spec = importlib.util.spec_from_file_location("chat_server", Path(__file__).parents[1] / "llm" / "chat_server.py")
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


CLAIM = {
    "name": "Length",
    "definition": "how much is said",
    "description": "The user writes shorter sentences than the others.",
    "category": "Writing",
    "attribute": "other",
    "direction": "other",
    "quotes": [],
}
ANSWERS = {
    "How does the user's review differ?": json.dumps({"features": [CLAIM]}),
    "Claims:": "1. keep, it is clear",
    "How does this user write?": "[Summary]: Briefly.",
}
"""By what E, V and S are asked at the end; G is answered with its own prompt."""
KEYS = ("writing/exclamations/more", "semantics/specificity/more")
UNITS = [{"dup_key": key, "category": key.partition("/")[0], "is_valid": True} for key in KEYS]
JUDGE = {"Judge these claims.": json.dumps({"units": UNITS})}


class Server(_module.ChatServer):
    """Plays any role; refuses the prompts that hold a word."""

    refused = "\0"

    async def _reply(self, connection: Any, step: str, text: str) -> None:
        (answer, *_) = (*(said for asked, said in (JUDGE | ANSWERS).items() if asked in text), None)
        if answer is None or self.refused in text:
            return await super()._reply(connection, "400" if self.refused in text else step, text)
        return connection.send(200, _module.chat(answer, read=self.count(text)))

    def asked(self, words: str) -> list[dict[str, Any]]:
        """The bodies of the requests with these words."""
        return [body for body in self.bodies if words in body["messages"][-1]["content"]]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        running.count = lambda text: 1000 + len(text) // 4  # with the system turn
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
    assert [set(row["scores"]) for row in record["tables"]["methods"]["methods"]] == [{"rougeL"}] * 5
    assert record["verdicts"] == []
    note, *measured = record["notes"]
    assert [line.partition(":")[0] for line in measured] == [f"{name} (measured)" for name in ("pag", "dpl", "drp")]
    assert measured[2].endswith(
        "no model is extractor or validator or summarizer: differences are measured (stylometry); rules alone check "
        "them; a template writes the profile"
    )
    assert note.startswith("m gives no likelihoods: no column nll")
    assert note in (tmp_path / "out" / "report.md").read_text()
    assert server.requests.total() <= 5 * 6
    rows = read_lines(tmp_path / "out" / "samples" / "rag.jsonl")
    assert all(row["nll"] is None and row["text"].startswith("re: ") for row in rows)


def test_controls_are_run_where_they_write(evaluate, tmp_path: Path) -> None:
    record = evaluate(tmp_path / "out", generate_controls=True)
    for name in ("pag", "dpl", "drp"):
        rows = record["tables"][f"controls of {name} (measured)"]["methods"]
        assert [(row["method"], row["control"]) for row in rows] == [(name, None), (name, "wrong user")]
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
        assert cache.forget_reviews([erased]) >= sum(erased in row["anchors"] for row in rag) > 0
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
    evaluate(tmp_path / "whole", changes={"methods": []})
    (first, *_) = read_lines(tmp_path / "whole" / "samples" / "rag.jsonl")
    server.refused = first["prompt"].partition("The review to write:")[2]
    record = evaluate(tmp_path / "out", changes={"methods": [], "cache": None})
    missing = [row for row in read_lines(tmp_path / "out" / "samples" / "rag.jsonl") if row["failure"]]
    assert 0 < len(missing) < 6
    assert all(row["failure"]["kind"] == "context_too_long" for row in missing)
    assert record["tables"]["methods"]["segments"] == 6 - len(missing), "left out for every method"
    assert len(record["notes"]) == 2
    assert record["notes"][1].startswith(f"rag: {len(missing)} of 6 texts are missing")
    assert "request.max_prompt_chars" in record["notes"][1]


@pytest.mark.parametrize("step", ["400", "422", "filtered"])
def test_an_endpoint_that_refuses_every_request_makes_no_table(step, evaluate, server: Server, tmp_path: Path) -> None:
    server.faults = [step]
    with pytest.raises(EndpointError, match="none of the 6 calls of the stage write was answered") as raised:
        evaluate(tmp_path / "out", changes={"methods": []})
    assert raised.value.exit_code == 7
    assert not (tmp_path / "out" / "results.json").exists()


def test_texts_that_were_cut_off_are_reported(job: Any, changes, evaluate, server: Server, tmp_path: Path) -> None:
    server.faults = ["cut"]
    server.steps["cut"] = (200, _module.chat("the answ", finish="length", read=500), "")
    record = evaluate(tmp_path / "out", changes={"methods": []})
    told = "rag: 6 of 6 texts were cut off at the token limit: raise sampling.max_new_tokens"
    assert told in record["notes"]
    assert told in (tmp_path / "out" / "report.md").read_text()
    (row, *_) = read_lines(tmp_path / "out" / "samples" / "rag.jsonl")
    assert row["usage"]["write"]["truncated"] == 1
    assert [note.startswith("1 of 1 texts were cut off") for note in row["notes"]] == [True]


def test_a_prompt_of_which_a_part_was_read_is_reported(
    job: Any, changes, evaluate, server: Server, tmp_path: Path
) -> None:
    server.count = lambda text: min(len(text) // 4, 8 + len(text) % 2)
    record = evaluate(tmp_path / "out", changes={"methods": []})
    (seems, *_) = (note for note in record["notes"] if note.startswith("rag: "))
    assert seems.startswith("rag: the endpoint seems to have cut ")
    assert "request.max_prompt_chars" in seems
    assert "num_ctx" in seems
    assert any(row["notes"] for row in read_lines(tmp_path / "out" / "samples" / "rag.jsonl"))


def test_no_record_of_a_run_holds_the_password_of_its_endpoint(job: Any, changes, server: Server, tmp_path, capsys):
    secret = {"backbone": {"endpoint": {"base_url": server.url.replace("://", "://me:s3cret@")}}, "methods": []}
    run_evaluate(job.store, job.split, tmp_path / "out", changes=merge(changes, secret))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 4
    assert not [path for path in files if b"s3cret" in path.read_bytes()]
    assert all(b"Basic " in head for head in server.heads)


def test_a_review_is_written_or_it_is_said_why_not(job: Any, changes, server: Server) -> None:
    with SqlStore(job.store, create=False) as store:
        user = store.users()[0]
        (past, *_) = store.profile(UserId(user))
    asked = {"user": user, "item": past.item, "changes": changes}
    assert write_review(job.store, **asked).text.startswith("re: ")
    server.refused = "Text: "
    with pytest.raises(EndpointError, match="m gave no answer: context_too_long"):
        write_review(job.store, **merge(asked, {"changes": {"cache": None}}))


@pytest.fixture
def roles(server: Server, changes: dict[str, Any]) -> dict[str, Any]:
    """E, V and S behind endpoints, each asked in its own way; the run's own model, in this process, is G."""

    def role(model: str, *, schemas: bool = True, **sampling: Any) -> dict[str, Any]:
        endpoint = {"model": model, "base_url": server.url, "schemas": schemas, "price": {"prompt": 1.0}}
        return {"backbone": {"endpoint": endpoint}, "sampling": sampling}

    differences = {
        "extractor": role("e", temperature=0.3),
        "validator": role("v", schemas=False),
        "summarizer": role("s", max_new_tokens=99),
        "comparison": {"anchors": 2, "representatives": 2},
        "stages": {"use_checks": False},
    }
    return {**changes, "backbone": {"model": "fake"}, "methods": ["drp"], "differences": differences}


def test_every_role_is_asked_at_its_own_endpoint_in_its_own_way(job: Any, server: Server, roles, tmp_path) -> None:
    run_evaluate(job.store, job.split, tmp_path / "out", changes=roles)
    extract, validate, summarize = (server.asked(words) for words in ANSWERS)
    assert {(body["model"], body["temperature"], "response_format" in body) for body in extract} == {("e", 0.3, True)}
    assert {(body["model"], "response_format" in body) for body in validate} == {("v", False)}
    assert {(body["model"], body["max_tokens"]) for body in summarize} == {("s", 99)}
    assert all("JSON" in body["messages"][0]["content"] for body in extract)
    assert not any("JSON" in body["messages"][0]["content"] for body in validate)
    record = json.loads((tmp_path / "out" / "results.json").read_text())
    assert record["roles"] == {"extractor": "e", "validator": "v", "summarizer": "s"}
    rows = read_lines(tmp_path / "out" / "samples" / "drp.jsonl")
    assert all(row["profile"] == "Briefly." for row in rows)
    assert all(feature["status"] != "dropped" for row in rows for feature in row["features"])
    assert sum(len(row["features"]) for row in rows) == sum(row["usage"]["extract"]["calls"] for row in rows) > 0


def test_calls_tokens_and_money_of_every_stage_are_in_the_summary(job: Any, server: Server, roles, tmp_path) -> None:
    server.count = lambda text: 10
    run_evaluate(job.store, job.split, tmp_path / "out", changes=roles)
    took = json.loads((tmp_path / "out" / "results.json").read_text())["usage"]["drp"]
    assert list(took) == ["extract", "validate", "summarize", "write"]
    for stage, words in zip(("extract", "validate", "summarize"), ANSWERS, strict=True):
        asked = len(server.asked(words))
        assert took[stage]["calls"] - took[stage]["cached"] == asked
        assert took[stage]["prompt_tokens"] == 10 * took[stage]["calls"]
        assert took[stage]["spent"] == pytest.approx(asked * 10 / 1e6)
    assert "| drp | extract |" in (tmp_path / "out" / "report.md").read_text()


def test_no_role_asks_twice_also_in_another_folder_or_with_other_limits(job: Any, server, roles, tmp_path) -> None:
    run_evaluate(job.store, job.split, tmp_path / "a", changes=roles)
    asked = server.requests.total()
    run_evaluate(job.store, job.split, tmp_path / "b", changes=roles)
    assert server.requests.total() == asked
    faster = {"differences": {"extractor": {"backbone": {"endpoint": {"limits": {"concurrency": 2}}}}}}
    run_evaluate(job.store, job.split, tmp_path / "a", changes=merge(roles, faster))
    assert server.requests.total() == asked
    other = {"differences": {"extractor": {"backbone": {"endpoint": {"model": "other"}}}}}
    with pytest.raises(ConfigError, match="another roles, settings"):
        run_evaluate(job.store, job.split, tmp_path / "a", changes=merge(roles, other))


def test_stages_that_were_not_answered_are_noted(job: Any, server: Server, roles, tmp_path: Path) -> None:
    run_evaluate(job.store, job.split, tmp_path / "whole", changes=roles)
    (asked, *_) = server.asked("How does the user's review differ?")
    server.refused = asked["messages"][-1]["content"]
    run_evaluate(job.store, job.split, tmp_path / "out", changes=merge(roles, {"cache": None}))
    notes = json.loads((tmp_path / "out" / "results.json").read_text())["notes"]
    (note,) = [note for note in notes if "cut off" not in note]
    assert re.fullmatch(r"drp: (\d+) of \d+ calls of the stage extract brought no answer", note)
    rows = read_lines(tmp_path / "out" / "samples" / "drp.jsonl")
    assert all(row["text"] and row["profile"] == "Briefly." for row in rows)
    server.refused = "How does the user's review differ?"
    with pytest.raises(EndpointError, match="calls of the stage extract was answered: context_too_long"):
        run_evaluate(job.store, job.split, tmp_path / "none", changes=merge(roles, {"cache": None}))


def test_one_review_is_written_with_models_in_every_role(job: Any, server: Server, roles) -> None:
    with SqlStore(job.store, create=False) as store:
        user = store.users()[0]
        (past, *_) = store.profile(UserId(user))
    asked = {"user": user, "item": past.item}
    generator = {"differences": {"generator": {"backbone": {"endpoint": {"model": "g", "base_url": server.url}}}}}
    found = write_review(job.store, **asked, method="drp", changes=merge(roles, generator))
    assert found.profile == "Briefly."
    assert server.asked("How this user differs from others: Briefly.")[-1]["model"] == "g"
    assert set(found.usage) == {"extract", "validate", "summarize", "write"}
    server.refused = "How this user differs"
    with pytest.raises(EndpointError, match="g gave no answer: context_too_long"):
        write_review(job.store, **asked, method="drp", changes=merge(merge(roles, generator), {"cache": None}))


def test_an_adapter_is_not_used_with_an_endpoint(job: Any, adapter: Path, tmp_path: Path) -> None:
    endpoint = {"backbone": {"endpoint": {"model": "m"}}}
    with pytest.raises(ConfigError, match="endpoint"):
        run_evaluate(job.store, job.split, tmp_path / "out", adapter=adapter, changes=endpoint)
    assert not (tmp_path / "out").exists()


def test_answers_are_recorded_next_to_the_store_where_a_model_is_asked_over_http(tmp_path: Path) -> None:
    def where(store: str, **changes: Any) -> Path | None:
        return cache_path(load_settings(changes=changes), store)

    endpoint = {"endpoint": {"model": "m"}}
    assert where("here/reviews.db") is None
    assert where("here/reviews.db", backbone=endpoint) == Path("here/idiolect-cache.db")
    assert where("postgresql://host/reviews", backbone=endpoint) == Path("idiolect-cache.db")
    assert where("here/reviews.db", backbone=endpoint, cache=None) is None
    role = {"summarizer": {"backbone": endpoint}}
    assert where("here/reviews.db", differences=role) == Path("here/idiolect-cache.db")
    assert where("here/reviews.db", cache=str(tmp_path / "own.db")) == tmp_path / "own.db"


def test_an_adaptive_extraction_leaves_its_curve_of_quality_against_cost(
    job: Any, roles, server: Server, tmp_path: Path
) -> None:
    server.count = lambda text: 10
    adaptive = {"differences": {"stages": {"adaptive": {"threshold": 0, "max_calls": 4}}}}
    run_evaluate(job.store, job.split, tmp_path / "out", changes=merge(roles, adaptive))
    record = json.loads((tmp_path / "out" / "results.json").read_text())
    points = record["curves"]["drp"]
    assert [point["calls"] for point in points] == [1, 2, 3, 4]
    assert {point["found"] for point in points} == {1}
    assert [point["cost"] for point in points] == pytest.approx([k * 10 / 1e6 for k in (1, 2, 3, 4)])
    assert "## What further calls found" in (tmp_path / "out" / "report.md").read_text()


def test_a_judge_counts_what_was_found_and_may_come_change_and_go(
    job: Any, roles, changes, server: Server, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def counted(**judge: Any) -> dict[str, Any]:
        asked = {"methods": ["drp"], **({"differences": {"judge": judge}} if judge else {})}
        run_evaluate(job.store, job.split, out, changes=merge(roles, asked))
        return json.loads((out / "results.json").read_text())

    plain = counted()
    assert (plain["judge"], plain["uvq"]["drp"]["judge"]) == (None, None)
    assert plain["uvq"]["drp"]["uvq"]["value"] == 1
    assert f"warning: drp: {plain['uvq']['drp']['warnings'][0]}" in (out / "report.md").read_text()
    assert not (out / "judged").exists()
    others = server.requests.total()
    named = {"model": "j", "base_url": server.url, "price": {"prompt": 1.0}}
    record = counted(backbone={"endpoint": named})
    asked = len(server.asked("Judge these claims."))
    assert server.requests.total() == others + asked, "what was written is not written again"
    found, took = record["uvq"]["drp"], record["usage"]["drp"]["judge"]
    assert record["judge"] == "j"
    assert found["uvq"]["value"] == 2
    assert found["judge"]["unread"] == 0 < found["judge"]["units"]
    assert (took["calls"], took["failed"]) == (asked, 0)
    assert found["warnings"] == []
    counted(backbone={"endpoint": named})
    assert len(server.asked("Judge these claims.")) == asked, "on record"
    (one, *_) = read_lines(out / "judged" / "drp.jsonl")
    with Cache(changes["cache"]) as cache:
        assert cache.forget_reviews([one["comparison"]]) >= 1
    counted(backbone={"endpoint": named})
    assert len(server.asked("Judge these claims.")) > asked


def test_an_endpoint_that_is_down_makes_no_table_and_is_asked_again(evaluate, server, tmp_path: Path) -> None:
    dead = {"backbone": {"endpoint": {"base_url": "http://127.0.0.1:9/v1", "retry": {"attempts": 1}}}}
    with pytest.raises(EndpointError, match="none of the 6 calls of the stage write was answered: connection"):
        evaluate(tmp_path / "out", changes=dead)
    assert not (tmp_path / "out" / "results.json").exists()
    assert evaluate(tmp_path / "out")["status"] == "complete"


def test_what_some_server_did_not_answer_is_asked_again_and_nothing_else(evaluate, server, tmp_path: Path) -> None:
    once = {"backbone": {"endpoint": {"retry": {"attempts": 1}}}, "methods": []}
    server.faults = ["500", "ok", "ok"]
    record = evaluate(tmp_path / "out", changes=once)
    missing = [note for note in record["notes"] if "texts are missing" in note]
    assert missing
    server.faults, before = [], server.requests.total()
    record = evaluate(tmp_path / "out", changes=once)
    assert not [note for note in record["notes"] if "texts are missing" in note]
    again = server.requests.total() - before
    assert 0 < again < 12
    evaluate(tmp_path / "out", changes=once)
    assert server.requests.total() - before == again


def test_another_writer_for_some_methods_is_reported(evaluate, server, tmp_path: Path) -> None:
    other = {"backbone": {"endpoint": {"model": "other", "base_url": server.url}}}
    record = evaluate(tmp_path / "out", changes={"methods": ["pag"], "differences": {"generator": other}})
    assert "pag (measured) are written by other, the others by m: they differ by the model, too" in record["notes"]
