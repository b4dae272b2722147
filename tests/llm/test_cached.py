from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest

from idiolect.errors import ArtifactError, ConfigError
from idiolect.llm.base import SamplingParams
from idiolect.llm.cache import Cache, CachedLLM
from idiolect.llm.fake import FakeLLM

PARAMS = SamplingParams(max_new_tokens=20)
PLACES = 8
"""Questions under way at once in the run that is killed."""


def texts(completions):
    return [c.text for c in completions]


@pytest.fixture
def cache(tmp_path):
    with Cache(tmp_path / "cache.db") as opened:
        yield opened


@pytest.fixture
def fake():
    return FakeLLM(reply=lambda prompt: f"re: {prompt.messages[-1].text}")


def test_a_question_is_asked_once_in_a_batch_and_ever_after(cache, fake, ask):
    llm = CachedLLM(fake, cache)
    first = llm.generate([ask("a"), ask("b"), ask("a")], PARAMS)
    again = llm.generate([ask("b"), ask("c"), ask("a")], PARAMS)
    assert texts(first) == ["re: a", "re: b", "re: a"]
    assert [c.cached for c in first] == [False, False, True]
    assert texts(again) == ["re: b", "re: c", "re: a"]
    assert [c.cached for c in again] == [True, False, True]
    assert [p.messages[0].text for p in fake.seen] == ["a", "b", "c"]


def test_replicates_are_independent_questions(cache, fake, ask):
    llm = CachedLLM(fake, cache)
    for k in (0, 1, 2, 1):
        llm.generate([ask("a")], PARAMS.replicate(k))
    assert len(fake.seen) == 3


def test_an_answer_of_another_model_is_not_taken_for_this_ones(cache, fake, ask):
    other = FakeLLM()
    other.name = "other"
    CachedLLM(fake, cache).generate([ask("a")], PARAMS)
    CachedLLM(other, cache).generate([ask("a")], PARAMS)
    assert len(other.seen) == 1


def test_it_is_the_model_in_all_else(cache, fake, ask):
    llm = CachedLLM(fake, cache)
    assert (llm.name, llm.supports, llm.generate([], PARAMS)) == (fake.name, fake.supports, [])
    nats = llm.negative_log_likelihood([ask("a b")], ["b"])
    np.testing.assert_array_equal(nats, fake.negative_log_likelihood([ask("a b")], ["b"]))
    with pytest.raises(ConfigError, match="fake does not support schemas"):
        llm.generate([ask("a")], PARAMS, schema={})


def test_erasing_a_review_reaches_the_answers_of_every_prompt_that_had_it(cache, fake, ask):
    llm = CachedLLM(fake, cache)
    llm.generate([ask("a", sources=["r1"]), ask("a", sources=["r2"]), ask("b", sources=["r3"])], PARAMS)
    llm.generate([ask("b", sources=["r4"])], PARAMS)  # a hit: the same words from another review
    assert cache.forget_reviews(["r2"]) == 1
    assert cache.forget_reviews(["r4"]) == 1
    assert len(cache) == 0


def test_a_model_without_a_stream_is_recorded_in_pieces(cache, ask):
    prompts = [ask(str(k)) for k in range(100)]

    def reply(prompt):
        if prompt.messages[0].text == "99":
            raise KeyboardInterrupt
        return "answer"

    with pytest.raises(KeyboardInterrupt):
        CachedLLM(FakeLLM(reply=reply), cache).generate(prompts, PARAMS)
    fresh = FakeLLM()
    CachedLLM(fresh, cache).generate(prompts, PARAMS)
    assert len(fresh.seen) == 36


def test_failures_are_asked_again_but_thinking_that_was_paid_for_is_not(server, openai_llm, cache, ask):
    llm = CachedLLM(openai_llm(retry={"attempts": 1}), cache)
    prompts = [ask("a plan=500,ok"), ask("b plan=unfinished"), ask("c"), ask("d plan=empty,ok")]
    first, again = llm.generate(prompts, PARAMS), llm.generate(prompts, PARAMS)
    assert [c.failure and c.failure.kind for c in first] == ["server_error", "unfinished_thinking", None, "empty"]
    assert [c.failure and c.failure.kind for c in again] == [None, "unfinished_thinking", None, None]
    assert [c.cached for c in again] == [False, True, True, False]
    assert list(server.requests.values()) == [2, 1, 1, 2]
    llm.generate(prompts[1:2], PARAMS.model_copy(update={"max_new_tokens": 40}))
    assert server.requests["b plan=unfinished"] == 2


def test_equal_prompts_are_one_request_though_many_go_at_once(server, openai_llm, cache, ask):
    found = CachedLLM(openai_llm(), cache).generate([ask(str(k % 10)) for k in range(200)], PARAMS)
    assert texts(found) == [f"re: {k % 10}" for k in range(200)]
    assert set(server.requests.values()) == {1}
    assert sum(c.cached for c in found) == 190


def test_answers_are_on_disk_before_the_last_one_is_there(server, openai_llm, cache, tmp_path, ask):
    seen = []
    cache.put, put = lambda records: seen.append(len(records)) or put(records), cache.put
    CachedLLM(openai_llm(), cache).generate([*(ask(str(k)) for k in range(20)), ask("z plan=slow:0.5")], PARAMS)
    assert sum(seen) == 21
    assert len(seen) > 1


PROGRAM = """
import sys
from idiolect.llm.base import SamplingParams
from idiolect.llm.cache import Cache
from idiolect.llm.cache import CachedLLM
from idiolect.llm.endpoint import OpenAIConfig
from idiolect.llm.openai import OpenAILLM
from idiolect.types import Block, Message, Prompt

url, path, places = sys.argv[1:]
prompts = [Prompt((Message("user", (Block((str(k),)),)),)) for k in range(200)]
config = OpenAIConfig(model="m", base_url=url, limits={"concurrency": int(places)})
with Cache(path) as cache, OpenAILLM(config) as llm:
    found = CachedLLM(llm, cache).generate(prompts, SamplingParams())
assert [c.text for c in found] == [f"re: {k}" for k in range(200)]
"""


def counts(url):
    with urllib.request.urlopen(url) as reply:
        return json.load(reply)


def settled(url):
    """The counts once the server has read what a dead process had sent."""
    seen, before = counts(url), None
    while seen != before:
        time.sleep(0.2)
        seen, before = counts(url), seen
    return seen


@pytest.mark.parametrize("latency", [0.0, 0.05])
def test_a_run_killed_at_any_moment_asks_again_only_for_what_was_under_way(latency, far_server, tmp_path):
    """At most one question a place and crash; nothing that is on the disk is asked for again."""
    pytest.importorskip("openai")
    url, path = far_server(latency), tmp_path / "cache.db"
    command = [sys.executable, "-c", PROGRAM, url, str(path), str(PLACES)]
    for share in (40, 120):
        process = subprocess.Popen(command)
        while sum(counts(url).values()) < share:
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    before, kept = settled(url), recorded(path)
    assert sum(before.values()) - len(kept) <= 2 * PLACES
    assert subprocess.run(command, check=False).returncode == 0
    after = counts(url)
    assert {text: after[text] for text in kept} == {text: before[text] for text in kept}
    assert sum(after.values()) - sum(before.values()) == 200 - len(kept)
    assert sorted(map(int, after)) == list(range(200))
    assert subprocess.run(command, check=False).returncode == 0
    assert counts(url) == after


def recorded(path):
    """The questions whose answers are on the disk."""
    with closing(sqlite3.connect(path)) as database:
        return {
            json.loads(answer)["text"].removeprefix("re: ")
            for (answer,) in database.execute("SELECT answer FROM entries")
        }


def test_no_more_answers_are_in_memory_alone_than_there_are_places(server, openai_llm, cache, ask):
    """However slowly they are written, in however many threads."""
    waiting = []

    def slow(records):
        waiting.append(sum(server.requests.values()) - len(cache))
        time.sleep(0.02)
        return put(records)

    cache.put, put = slow, cache.put
    llm = CachedLLM(openai_llm(limits={"concurrency": 4}), cache)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda k: llm.generate([ask(f"{k} {n}") for n in range(15)], PARAMS), range(3)))
    assert len(cache) == 45
    assert max(waiting) <= 4


def test_what_cannot_be_recorded_frees_the_endpoint_for_others(openai_llm, cache, ask):
    llm = openai_llm(limits={"concurrency": 1})

    def full(records):
        raise ArtifactError("the disk is full")

    cache.put, put = full, cache.put
    with pytest.raises(ArtifactError) as raised:
        CachedLLM(llm, cache).generate([ask("a"), ask("b")], PARAMS)
    assert texts(llm.generate([ask("c")], PARAMS)) == ["re: c"], raised
    cache.put = put
