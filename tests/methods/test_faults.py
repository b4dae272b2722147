"""A whole DRP run against a server in its own process that fails in every way there is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from idiolect.llm.base import SamplingParams
from idiolect.llm.endpoint import OpenAIConfig
from idiolect.llm.openai import OpenAILLM
from idiolect.methods.drp import DRP
from idiolect.methods.roles import Roles
from idiolect.types import Sample

SERVER = Path(__file__).parents[1] / "llm" / "chat_server.py"
PASSING = ("429:0.05", "429", "500", "503:0.05", "drop", "half", "slow:60", "empty", "null", "html", "none", "nochoice")
STAYING = ("400", "422")


@pytest.fixture
def serve() -> Iterator[Any]:
    pytest.importorskip("openai", reason="the extra 'openai' is not installed")
    started: list[subprocess.Popen[str]] = []

    def start(faults: str) -> str:
        command = [sys.executable, str(SERVER), "0", faults]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout is not None
        return started[-1].stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


def run(world: Any, url: str) -> list[Any]:
    retry = {"attempts": 4, "timeout_s": 1.2}
    config = OpenAIConfig.model_validate({"model": "m", "base_url": url, "retry": retry, "schemas": False})
    comparisons = world.comparisons(retriever="recency", anchors=4, representatives=3)
    samples = [world.sample, *(Sample(user=f"o{k}", item="new") for k in range(5)), Sample(user="nobody", item="new")]
    with OpenAILLM(config) as llm:
        found = DRP(Roles.shared(llm, SamplingParams(max_new_tokens=16)), world.contexts(k=2), comparisons).generate(
            samples
        )
    assert [one.sample for one in found] == samples
    return found


def test_faults_that_pass_cost_requests_and_no_answer(world, serve):
    found = run(world, serve(",".join(PASSING)))
    took = [usage for one in found for usage in one.usage.values()]
    assert all(one.text and one.failure is None for one in found)
    assert sum(usage.failed for usage in took) == 0
    assert sum(usage.retries for usage in took) > 0


def test_faults_that_stay_are_reported_on_their_sample_and_stage(world, serve):
    found = run(world, serve(",".join([*STAYING, "500"])))
    for one in found:
        assert bool(one.text) != (one.failure is not None)
        told = [stage for stage in one.stages if stage.failure is not None]
        assert len(told) == sum(usage.failed for usage in one.usage.values())
    assert sum(usage.failed for one in found for usage in one.usage.values()) > len(found)


def test_thinking_that_does_not_end_is_asked_for_again(world, serve):
    found = run(world, serve("unfinished"))
    assert all(one.text and one.failure is None for one in found)
    assert all(usage.failed for one in found for name, usage in one.usage.items() if name in ("summarize", "write"))
