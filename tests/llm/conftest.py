"""A chat endpoint in a thread, one in a process, and prompts to ask them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from idiolect.types import Block, Message, Prompt

SCRIPT = Path(__file__).with_name("chat_server.py")
# Test folders are no packages; the crash test runs the same file as a script.
_spec = importlib.util.spec_from_file_location("chat_server", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.fixture
def server() -> Iterator[Any]:
    with _module.ChatServer() as running:
        yield running


@pytest.fixture
def far_server() -> Iterator[Callable[[float], str]]:
    """Starts a server in a process of its own, with a latency in seconds; gives its URL."""
    with ExitStack() as stack:

        def start(latency: float) -> str:
            process = subprocess.Popen([sys.executable, str(SCRIPT), str(latency)], stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait)
            stack.callback(process.kill)
            assert process.stdout is not None
            stack.callback(process.stdout.close)
            return process.stdout.readline().strip()

        yield start


@pytest.fixture(scope="session")
def ask() -> Callable[..., Prompt]:
    """Makes a prompt of one user turn: ``ask("text", sources=["r1"])``."""

    def make(text: str, *, system: str = "", sources: Any = ()) -> Prompt:
        turns = [("system", system), ("user", text)] if system else [("user", text)]
        return Prompt(tuple(Message(role, (Block((words,)),)) for role, words in turns), sources=tuple(sources))

    return make


@pytest.fixture
def openai_llm(server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Makes an ``OpenAILLM`` for ``server`` with short pauses: ``openai_llm(retry={...}, limits={...})``."""
    pytest.importorskip("openai", reason="the extra 'openai' is not installed")
    from idiolect.config import merge
    from idiolect.llm import retry
    from idiolect.llm.endpoint import OpenAIConfig
    from idiolect.llm.openai import OpenAILLM

    monkeypatch.setattr(retry, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(retry, "LONGEST_PAUSE_S", 0.05)
    quick = {"timeout_s": 5.0, "deadline_s": 20.0, "attempts": 4}
    with ExitStack() as stack:

        def make(**settings: Any) -> OpenAILLM:
            common = {"model": "m", "base_url": server.url, "retry": quick, "limits": {"concurrency": 8}}
            return stack.enter_context(OpenAILLM(OpenAIConfig.model_validate(merge(common, settings))))

        yield make
