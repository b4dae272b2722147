from __future__ import annotations

import asyncio
import base64
import gzip
import json
import signal
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idiolect.config import build
from idiolect.errors import ConfigError, MissingDependencyError
from idiolect.llm import retry
from idiolect.llm.base import EndpointError, SamplingParams
from idiolect.llm.endpoint import OpenAIConfig
from idiolect.llm.failures import classify_exception
from idiolect.llm.openai import OpenAILLM
from idiolect.types import Block, Message, Prompt, VirtualToken

PARAMS = SamplingParams(temperature=0.5, top_p=0.9, max_new_tokens=7, seed=3)
FAULTS = ["429", "429:0.02", "500", "503:0.02", "drop", "half", "empty", "null", "html", "list", "none", "nochoice"]


def kinds(completions):
    return [c.failure and c.failure.kind for c in completions]


def test_answers_stand_in_the_order_of_their_prompts_whatever_order_they_came_in(server, openai_llm, ask):
    prompts = [ask(f"{k} plan={'429:0.03,ok' if k % 5 == 0 else 'ok'}") for k in range(40)]
    found = openai_llm().generate(prompts, PARAMS)
    assert [c.text for c in found] == [f"re: {p.messages[0].text}" for p in prompts]
    assert server.requests.total() == 48
    assert server.most_at_once <= 8


def test_an_empty_batch_asks_nothing(server, openai_llm):
    assert openai_llm().generate([], PARAMS) == []
    assert not server.requests


def test_everything_the_caller_asked_for_is_sent(server, openai_llm, ask):
    schema = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "string"}}}
    settings = {"merge_system": True, "limit_field": "max_completion_tokens", "omit": ["top_p"], "extra": {"x": 1}}
    openai_llm(request=settings).generate([ask("hi", system="be brief")], PARAMS, schema=schema)
    assert server.bodies[0] == {
        "model": "m",
        "messages": [{"role": "user", "content": "be brief\n\nhi"}],
        "temperature": 0.5,
        "seed": 3,
        "max_completion_tokens": 7,
        "x": 1,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        },
    }


def test_the_key_is_sent_and_nothing_about_the_machine_that_asks(server, openai_llm, ask, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    llm = openai_llm()
    for text in ("hi", "a longer text", "hi again"):
        llm.generate([ask(text)], PARAMS)
    for head in server.heads:
        assert head.startswith(b"POST /v1/chat/completions ")
        assert b"authorization: bearer secret" in head.lower()
        assert b"content-type: application/json" in head.lower()
        assert b"stainless" not in head.lower()
        assert head.lower().count(b"content-length:") == 1
    assert [body["messages"][-1]["content"] for body in server.bodies] == ["hi", "a longer text", "hi again"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_retried_and_counted(fault, server, openai_llm, ask):
    (found,) = openai_llm().generate([ask(f"hi plan={fault},ok")], PARAMS)
    assert (found.text, found.failure, found.requests) == (f"re: hi plan={fault},ok", None, 2)


@pytest.mark.parametrize(
    ("fault", "kind", "requests"),
    [
        ("500", "server_error", 4),
        ("fault", "server_error", 4),
        ("drop", "connection", 4),
        ("half", "connection", 4),
        ("empty", "empty", 4),
        ("html", "malformed", 4),
        ("400", "context_too_long", 1),
        ("422", "refused", 1),
        ("filtered", "refused", 1),
        ("unfinished", "unfinished_thinking", 1),
    ],
)
def test_a_fault_that_stays_is_a_value_next_to_the_answers_of_others(fault, kind, requests, openai_llm, ask):
    found = openai_llm().generate([ask("a"), ask(f"b plan={fault}"), ask("c")], PARAMS)
    assert kinds(found) == [None, kind, None]
    assert (found[1].text, found[1].requests) == ("", requests)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("fault", ["nohttp", "nolength"])
def test_what_is_no_http_is_a_failure_that_keeps_the_key(fault, fast, openai_llm, ask, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    if not fast:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    llm = openai_llm(retry={"attempts": 1})
    for _ in range(2):
        (found, fine) = llm.generate([ask(f"hi plan={fault}"), ask("fine")], PARAMS)
        assert found.failure.kind == "connection"
        assert "secret" not in str(found.failure)
        assert fine.text == "re: fine"


def test_tls_and_streams_that_break_are_lost_connections():
    openai, httpx, anyio = (pytest.importorskip(name) for name in ("openai", "httpx2", "anyio"))
    for cause in (ssl.SSLError(1, "bad record mac"), anyio.EndOfStream(), ConnectionResetError()):
        wrapped = openai.APIConnectionError(request=httpx.Request("POST", "http://a"))
        wrapped.__cause__ = cause
        for error in (cause, wrapped):
            assert classify_exception(error).failure.kind == "connection"
    assert classify_exception(KeyError("a slip")) is None


@pytest.mark.parametrize("fault", ["429:3600", *FAULTS[2:], "nohttp", "nolength", "400", "422", "filtered"])
def test_a_fault_is_the_same_whether_it_meets_the_first_request_or_a_later_one(fault, openai_llm, ask):
    first, used = (openai_llm(retry={"attempts": 1}) for _ in range(2))
    used.generate([ask("before")], PARAMS)
    (at_first,), (later,) = (llm.generate([ask(f"{fault} plan={fault}")], PARAMS) for llm in (first, used))
    assert later.failure == at_first.failure


@pytest.fixture
def impatient(openai_llm, monkeypatch):
    monkeypatch.setattr(retry, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(retry, "LONGEST_PAUSE_S", 0.002)
    return openai_llm(retry={"attempts": 2, "deadline_s": 0.5})


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(plans=st.lists(st.lists(st.sampled_from([*FAULTS, "400", "ok"]), min_size=1, max_size=4), max_size=12))
def test_every_prompt_is_accounted_for_whatever_the_server_does(plans, server, impatient, ask):
    server.requests.clear()
    prompts = [ask(f"{k} plan={','.join(plan)}") for k, plan in enumerate(plans)]
    found = impatient.generate(prompts, PARAMS)
    assert len(found) == len(prompts)
    for completion, prompt in zip(found, prompts, strict=True):
        answered = completion.text == f"re: {prompt.messages[0].text}"
        assert answered != (completion.failure is not None)


def test_it_is_the_same_without_aiohttp(openai_llm, ask, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    passing = [ask(f"hi plan={fault},ok") for fault in FAULTS]
    staying = [ask(f"hi plan={fault}") for fault in ("drop", "half", "slow:60", "400")]
    found = openai_llm(retry={"timeout_s": 2.5, "attempts": 2}).generate([*passing, *staying], PARAMS)
    assert kinds(found) == [None] * len(FAULTS) + ["connection", "connection", "timeout", "context_too_long"]


def test_a_server_that_asks_for_time_gets_it(server, openai_llm, ask):
    openai_llm(limits={"concurrency": 1}).generate([ask("a plan=429:0.4,ok"), ask("b")], PARAMS)
    first, *others = server.times
    assert min(others) - first >= 0.4


def test_rate_limiting_costs_no_attempts_but_the_deadline_ends_it(openai_llm, ask):
    (passing,) = openai_llm(retry={"attempts": 1}).generate([ask("a plan=429,429,429,ok")], PARAMS)
    assert (passing.failure, passing.requests) == (None, 4)
    (staying,) = openai_llm(retry={"attempts": 1, "deadline_s": 0.5}).generate([ask("b plan=429")], PARAMS)
    assert staying.failure.kind in {"rate_limited", "timeout"}  # by where the deadline falls


def test_a_server_that_asks_for_more_time_than_there_is_holds_nobody_up(openai_llm, ask):
    found = openai_llm(limits={"concurrency": 1}).generate([ask("a plan=429:3600"), ask("b")], PARAMS)
    assert kinds(found) == ["rate_limited", None]


def test_a_reply_that_takes_too_long_is_a_failure(openai_llm, ask):
    llm = openai_llm(retry={"timeout_s": 1.0, "attempts": 2})
    found = llm.generate([ask("a plan=slow:60"), ask("b plan=slow:60,ok"), ask("c")], PARAMS)
    assert kinds(found) == ["timeout", None, None]


def test_thinking_is_kept_apart_and_counted(openai_llm, ask):
    found = openai_llm().generate([ask("a plan=thought"), ask("b plan=aside"), ask("c plan=cut")], PARAMS)
    assert [(c.text, c.thinking, c.truncated) for c in found] == [
        ("the answer", "let me see", False),
        ("the answer", "let me see", False),
        ("the answ", "", True),
    ]
    assert [c.thinking_tokens for c in found] == [2, 2, 0]


def test_an_answer_of_a_model_that_always_thinks_is_unfinished_without_a_closing_tag(openai_llm, ask):
    assert kinds(openai_llm(reasoning_model=True).generate([ask("a plan=cut")], PARAMS)) == ["unfinished_thinking"]


@pytest.mark.parametrize("status", ["401", "404"])
def test_an_endpoint_that_refuses_everything_is_asked_no_further_and_named(status, server, openai_llm, ask):
    llm = openai_llm(limits={"concurrency": 2})
    with pytest.raises(EndpointError, match=f"refuses m: .*{status}.*OPENAI_API_KEY"):
        llm.generate([ask(f"{k} plan={status}") for k in range(50)], PARAMS)
    assert server.requests.total() <= 2


def test_a_refusal_in_the_middle_loses_no_answer(server, openai_llm, ask):
    prompts = [ask("a"), ask("b plan=401"), ask("c")]
    assert kinds(openai_llm(limits={"concurrency": 1}).generate(prompts, PARAMS)) == [None, "denied", "denied"]
    assert server.requests.total() == 2


def test_a_text_that_is_not_unicode_does_not_fail_the_batch(server, openai_llm, ask):
    assert kinds(openai_llm().generate([ask("broken \ud800 pair"), ask("b")], PARAMS)) == [None, None]
    assert "broken ? pair" in server.requests


def test_history_over_the_budget_is_dropped_last_entry_first(server, openai_llm):
    blocks = (Block(("head ",)), Block(("first ",), 0), Block(("second ",), 1), Block(("third ",), 2), Block(("tail",)))
    prompt = Prompt((Message("user", blocks),))
    everything = "head first second third tail"
    for budget, kept, text in ((None, (0, 1, 2), everything), (17, (0,), "head first tail"), (3, (), "head tail")):
        (found,) = openai_llm(request={"max_prompt_chars": budget}).generate([prompt], PARAMS)
        assert found.kept_entries == kept
        assert server.bodies[-1]["messages"][0]["content"] == text


def test_soft_prompts_and_likelihoods_are_refused(openai_llm, ask):
    llm = openai_llm()
    assert llm.supports == {"schema", "seed"}
    assert openai_llm(schemas=False, request={"omit": ["seed"]}).supports == frozenset()
    soft = Prompt((Message("user", (Block((VirtualToken("his", 0),)),)),), soft=np.zeros((1, 4), np.float32))
    with pytest.raises(ConfigError, match="no soft prompts"):
        llm.generate([soft], PARAMS)
    with pytest.raises(ConfigError, match="no likelihoods"):
        llm.negative_log_likelihood([ask("a")], ["b"])


def test_threads_and_running_loops_may_share_it(server, openai_llm, ask):
    llm = openai_llm(limits={"concurrency": 3})

    async def inside() -> list[str]:
        return [c.text for c in llm.generate([ask("inside")], PARAMS)]

    with ThreadPoolExecutor(4) as pool:
        batches = [[ask(f"{b}-{k}") for k in range(6)] for b in range(4)]
        found = list(pool.map(lambda batch: llm.generate(batch, PARAMS), batches))
    assert [[c.text for c in batch] for batch in found] == [[f"re: {b}-{k}" for k in range(6)] for b in range(4)]
    assert server.most_at_once <= 3
    assert asyncio.run(inside()) == ["re: inside"]


@pytest.mark.parametrize("fault", [ValueError, StopIteration, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_what_a_receiver_raises_stops_the_asking_and_is_raised(fault, server, openai_llm, ask):
    server.latency = 0.05
    llm, called = openai_llm(limits={"concurrency": 2}), []

    def full(answers):
        called.append(answers)
        raise fault

    with pytest.raises(fault):
        llm.stream([ask(str(k)) for k in range(100)], PARAMS, full)
    assert llm.generate([ask("after")], PARAMS)[0].text == "re: after"
    assert len(called) == 1
    assert server.requests.total() < 20


def test_a_receiver_must_not_call_the_model(openai_llm, ask):
    llm = openai_llm()
    with pytest.raises(RuntimeError, match="must not call the model"):
        llm.stream([ask("a")], PARAMS, lambda answers: llm.generate([ask("b")], PARAMS))


def test_threads_can_be_interrupted_and_others_go_on(server, openai_llm, ask):
    server.latency = 0.3
    llm = openai_llm()
    idents: list[int] = []

    def waiting(text):
        idents.append(threading.get_ident())
        return llm.generate([ask(text)], PARAMS)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(waiting, "a")
        while not server.requests:
            time.sleep(0.001)
        second = pool.submit(waiting, "b")
        llm.interrupt(idents[:1])
        with pytest.raises(CancelledError):
            first.result()
        assert second.result()[0].text == "re: b"


def test_an_interrupted_run_hands_nothing_over_any_more(server, openai_llm, ask):
    server.latency = 0.02
    llm, received = openai_llm(limits={"concurrency": 2}), []

    def interrupting(answers):
        received.extend(answers)
        if len(received) == len(answers):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        llm.stream([ask(str(k)) for k in range(100)], PARAMS, interrupting)
    known = len(received)
    llm.generate([ask("after")], PARAMS)
    assert len(received) == known
    assert server.requests.total() < 50


def test_requests_a_minute_are_kept_to(server, openai_llm, ask):
    llm = openai_llm(limits={"requests_per_minute": 1200})
    begun = time.monotonic()
    llm.generate([ask(str(k)) for k in range(9)], PARAMS)
    assert time.monotonic() - begun >= 8 * 0.05 - 0.02


def test_price_and_tokens_are_on_every_completion(openai_llm, ask):
    (found,) = openai_llm(price={"prompt": 1e6, "completion": 2e6}).generate([ask("a")], PARAMS)
    assert (found.prompt_tokens, found.completion_tokens, found.cost) == (10, 5, 20.0)
    assert found.seconds > 0


def test_replies_that_were_of_no_use_are_billed_too(openai_llm, ask):
    llm = openai_llm(price={"prompt": 1e6, "completion": 2e6})
    empty, dropped, never = llm.generate(
        [ask("a plan=empty,empty,empty,ok"), ask("b plan=drop,500,ok"), ask("c plan=empty")], PARAMS
    )
    assert (empty.requests, empty.prompt_tokens, empty.completion_tokens, empty.cost) == (4, 40, 20, 80.0)
    assert (dropped.requests, dropped.prompt_tokens, dropped.cost) == (3, 10, 20.0), "only one reply carried counts"
    assert never.failure is not None
    assert never.cost == 20.0 * never.requests
    assert not empty.truncated


def test_its_name_and_identity_hold_no_credentials(openai_llm):
    llm = openai_llm(base_url="https://user:secret@host:8/v1/", revision="r1")
    assert llm.name == "m@r1"
    assert "secret" not in llm.identity
    assert '"https://host:8/v1"' in llm.identity


def test_a_process_ends_though_nobody_closed_it():
    program = (
        "from idiolect.llm.openai import OpenAILLM\n"
        "from idiolect.llm.endpoint import OpenAIConfig\n"
        "llm = OpenAILLM(OpenAIConfig(model='m'))\n"
    )
    pytest.importorskip("openai")
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_without_the_client_the_line_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'idiolect\[openai\]'"):
        OpenAILLM(OpenAIConfig(model="m"))


def test_a_partial_answer_is_asked_for_again(server, openai_llm, ask):
    broken = {"message": {"content": "half a"}, "finish_reason": "error", "error": {"code": 502, "message": "gone"}}
    server.steps["broken"] = (200, json.dumps({"choices": [broken]}).encode(), "")
    (found,) = openai_llm().generate([ask("hi plan=broken,ok")], PARAMS)
    assert (found.text, found.requests) == ("re: hi plan=broken,ok", 2)


def test_a_wait_in_the_body_holds_every_request_up(server, openai_llm, ask):
    words = "tokens per minute exceeded, please try again in 0.4s. https://x/billing"
    server.steps["busy"] = (429, json.dumps({"error": {"message": words}}).encode(), "")
    found = openai_llm(limits={"concurrency": 1}).generate([ask("a plan=busy,ok"), ask("b")], PARAMS)
    assert kinds(found) == [None, None]
    first, *others = server.times
    assert min(others) - first >= 0.4


@pytest.mark.parametrize("step", ["fault", "aside"])
def test_what_no_repetition_mends_is_asked_once(step, server, openai_llm, ask):
    wrong = {"error": "Unexpected endpoint or method. (POST /chat/completions)"}
    message = {"content": None, "reasoning_content": "fine"}
    aside = {"choices": [{"message": message, "finish_reason": "stop"}]}
    server.steps = {"fault": (200, json.dumps(wrong).encode(), ""), "aside": (200, json.dumps(aside).encode(), "")}
    found = openai_llm().generate([ask("a"), ask(f"b plan={step}")], PARAMS)
    assert kinds(found) == [None, {"fault": "denied", "aside": "wrong_field"}[step]]
    assert found[1].requests == 1


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("packed", ["", "gzip", "br"])
def test_a_huge_reply_is_read_to_its_bound_alone(packed, fast, server, openai_llm, ask, monkeypatch):
    if not fast:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    content = json.dumps({"choices": [{"message": {"content": "word " * 400_000}, "finish_reason": "stop"}]}).encode()
    header = f"Content-Encoding: {packed}\r\n" if packed else ""
    server.steps["huge"] = (200, gzip.compress(content) if packed else content, header)
    llm = openai_llm(retry={"attempts": 2})
    for _ in range(2):
        (found, fine) = llm.generate([ask("a plan=huge"), ask("b")], PARAMS)
        assert fine.text == "re: b"
        assert found.failure.kind == ("malformed" if packed == "br" else "oversized")
        assert found.text == ""
    most = {"max_reply_bytes": 3_000_000}
    if packed != "br":
        (whole,) = openai_llm(limits=most).generate([ask("c plan=huge")], PARAMS)
        assert len(whole.text) == 5 * 400_000 - 1


def test_a_packed_reply_is_unpacked(server, openai_llm, ask):
    body = json.dumps({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}).encode()
    server.steps["packed"] = (200, gzip.compress(body), "Content-Encoding: gzip\r\n")
    assert openai_llm().generate([ask("a plan=packed")], PARAMS)[0].text == "hi"


def test_a_huge_refusal_is_cut(server, openai_llm, ask):
    server.steps["huge"] = (400, b"no " * 1_000_000, "")
    found = openai_llm().generate([ask("a"), ask("b plan=huge")], PARAMS)
    assert found[1].failure.kind == "refused"
    assert len(found[1].failure.message) <= 300


@pytest.mark.parametrize("used", [False, True])
def test_prompts_and_keys_go_to_no_other_server(used, server, openai_llm, ask, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with type(server)() as other:
        elsewhere = other.url.replace("://", "://me:hidden@")
        server.steps["away"] = (307, b"", f"Location: {elsewhere}/chat/completions\r\n")
        server.steps["here"] = (307, b"", "Location: /elsewhere/chat/completions\r\n")
        server.steps["lost"] = (302, b"", "Location: /v1/chat/completions\r\n")
        llm = openai_llm(limits={"concurrency": 1})
        if used:
            llm.generate([ask("before")], PARAMS)
        (within,) = llm.generate([ask("a plan=here,ok")], PARAMS)
        assert within.text == "re: a plan=here,ok"
        for step in ("away", "lost"):
            with pytest.raises(EndpointError, match="redirects") as raised:
                llm.generate([ask(f"b plan={step}")], PARAMS)
            assert "hidden" not in str(raised.value)
        assert not other.heads


def test_a_password_in_the_address_is_sent_and_never_reported(server, openai_llm, ask, caplog):
    caplog.set_level("DEBUG")
    address = server.url.replace("://", "://me:hid%40den@")
    llm = openai_llm(base_url=address)
    assert [c.text for c in llm.generate([ask("a"), ask("b")], PARAMS)] == ["re: a", "re: b"]
    basic = base64.b64encode(b"me:hid@den")
    assert all(
        b"authorization: Basic " + basic in head.replace(b"Authorization", b"authorization") for head in server.heads
    )
    assert llm.config.base_url == address
    with pytest.raises(EndpointError) as raised:
        llm.generate([ask("c plan=404")], PARAMS)
    with pytest.raises(ConfigError) as refused:
        build(OpenAIConfig, {"model": "m", "base_url": "ftp://me:hid%40den@host/v1"}, where="test")
    told = [llm.identity, json.dumps(llm.config.model_dump(mode="json")), str(raised.value), str(refused.value)]
    assert not [one for one in (*told, caplog.text) if "hid" in one]
    assert server.url in told[1]


def test_a_prompt_that_the_server_cut_is_noticed_by_its_count(server, openai_llm, ask):
    server.count = lambda text: min(64, len(text.split()))
    llm = openai_llm()
    counted, whole, short = llm.generate([ask("word " * 20), ask("word " * 120), ask(" " * 900)], PARAMS)
    (cut,) = llm.generate([ask("word " * 280)], PARAMS)
    assert [one.cut_prompt for one in (counted, whole, short, cut)] == [False, False, False, True]
    server.count = lambda text: 2048
    (cut,) = openai_llm().generate([ask("word " * 6000)], PARAMS)
    assert cut.cut_prompt, "as many tokens as a context has"
    server.count = lambda text: 64
    fixed = openai_llm().generate([ask("word " * 280), ask("word " * 900)], PARAMS)
    assert not any(one.cut_prompt for one in fixed), "a number that never varies is no count"
    server.count = lambda text: 0
    (unknown,) = openai_llm().generate([ask("word " * 280)], PARAMS)
    assert not unknown.cut_prompt
    assert unknown.prompt_tokens == 350


def test_control_tokens_in_a_prompt_reach_no_endpoint(server, openai_llm, ask):
    openai_llm().generate([ask("so <|im_end|> [INST] x </s>", system="be <prompt_embeds> brief")], PARAMS)
    told = [message["content"] for message in server.bodies[0]["messages"]]
    assert told == ["be < prompt_embeds> brief", "so < |im_end|> [ INST] x < /s>"]
