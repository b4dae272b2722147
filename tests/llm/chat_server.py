"""A chat endpoint that does what its prompts say and counts every request.

Also a script: ``chat_server.py LATENCY [FAULTS [ANSWER]]``; ``{n}`` in the answer becomes a number of the prompt's own.

A prompt ends in ``plan=a,b,c``: the first request with that text gets ``a``, the second ``b``, and so on, the last for
ever; without a plan it is ``ok``, after one of ``FAULTS`` (``429:0.1,500,...``) where there are any.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

TOO_LONG = "This model's maximum context length is 10 tokens. However, your messages resulted in 20 tokens."


def chat(text: str | None, *, finish: str = "stop", read: int = 10, **message: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": read, "completion_tokens": 5, "total_tokens": read + 5}
    return json.dumps({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()


def error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "error"}}).encode()


class ChatServer:
    def __init__(
        self,
        *,
        latency: float = 0.0,
        virtual_tokens: int = 64,
        reply: Callable[[str], str] = lambda text: f"re: {text}",
    ) -> None:
        self.reply = reply
        """What is answered to a message where all goes well."""
        self.count: Callable[[str], int] = lambda text: 10
        """The tokens of a prompt, by its last message."""
        self.latency = latency
        self.virtual_tokens = virtual_tokens
        self.faults: Sequence[str] = ()
        """One of these, always the same for a text, comes before its answer."""
        self.steps: dict[str, tuple[int, bytes, str]] = {}
        """Further steps of plans: status, body and headers, each with its line break."""
        self.requests: Counter[str] = Counter()
        """Requests by the text of their last message."""
        self.bodies: list[dict[str, Any]] = []
        self.heads: list[bytes] = []
        self.times: list[float] = []
        self.most_at_once = 0
        self._at_once = 0

    def __enter__(self) -> ChatServer:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        self._free = asyncio.Semaphore(self.virtual_tokens)
        self._connections: set[_Connection] = set()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.transport.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def answer(self, connection: _Connection, raw: bytes) -> None:
        body = json.loads(raw)
        text = body["messages"][-1]["content"]
        plan = text.rpartition("plan=")[2].split(",") if "plan=" in text else self._fate(text)
        step = plan[min(self.requests[text], len(plan) - 1)]
        self.requests[text] += 1
        self.bodies.append(body)
        self.times.append(asyncio.get_running_loop().time())
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            async with self._free:
                await asyncio.sleep(self.latency)
                await self._reply(connection, step, text)
        finally:
            self._at_once -= 1

    def _fate(self, text: str) -> list[str]:
        return [self.faults[zlib.crc32(text.encode()) % len(self.faults)], "ok"] if self.faults else ["ok"]

    async def _reply(self, connection: _Connection, step: str, text: str) -> None:
        word, _, value = step.partition(":")
        if word in self.steps:
            connection.send(*self.steps[word])
        elif word == "drop":
            connection.transport.abort()
        elif word in _RAW:
            connection.transport.write(_RAW[word])
            connection.transport.close()
        elif word == "slow":
            await asyncio.sleep(float(value))
            connection.send(200, chat("late"))
        elif word in ("429", "503"):
            connection.send(int(word), error("slow down"), f"Retry-After: {value}\r\n" if value else "")
        elif word.isdigit():
            connection.send(int(word), error(TOO_LONG if word == "400" else f"status {word}"))
        else:
            connection.send(200, _BODIES[word] if word in _BODIES else chat(self.reply(text), read=self.count(text)))


_RAW = {
    "half": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
    "nohttp": b"\x16\x03\x01 what is this?\r\n\r\n",
    "nolength": b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n{}",
}
_BODIES = {
    "empty": chat(""),
    "null": chat(None),
    "html": b"<html>gateway</html>",
    "list": b"[]",
    "none": b"",
    "nochoice": b'{"choices": []}',
    "fault": error("the model behind the gateway is gone"),
    "filtered": chat("", finish="content_filter"),
    "thought": chat("<think>let me see</think>\n\nthe answer"),
    "unfinished": chat("<think>let me see and", finish="length"),
    "aside": chat("the answer", reasoning_content="let me see"),
    "cut": chat("the answ", finish="length"),
}


class _Connection(asyncio.Protocol):
    def __init__(self, server: ChatServer) -> None:
        self._chat, self._received = server, b""
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._chat._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._chat._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(rest) < length:
            return
        self._received = rest[length:]
        self._chat.heads.append(head)
        if head.startswith(b"GET"):
            return self.send(200, json.dumps(self._chat.requests).encode())
        task = asyncio.ensure_future(self._chat.answer(self, rest[:length]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def send(self, status: int, body: bytes, headers: str = "") -> None:
        if not self.transport.is_closing():
            head = (
                f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
            )
            self.transport.write(head.encode() + body)


async def _serve(latency: float, faults: str = "", answer: str = "") -> None:
    server = ChatServer(latency=latency)
    if answer:
        server.reply = lambda text: answer.replace("{n}", str(zlib.crc32(text.encode())))
    server.faults = faults.split(",") if faults else ()
    await server.start()
    sys.stdout.write(f"{server.url}\n")  # the parent process reads where it is
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1]), *sys.argv[2:]))
