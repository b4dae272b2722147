"""A server on a loopback port, an upstream behind it that notes what it is sent, and clients."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

httpx2 = pytest.importorskip("httpx2")
openai = pytest.importorskip("openai")
uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

from fastapi import FastAPI, Request  # noqa: E402
from fastapi.responses import JSONResponse, Response, StreamingResponse  # noqa: E402

from idiolect.server.app import create_app, uvicorn_config  # noqa: E402
from idiolect.server.settings import ServerConfig  # noqa: E402

MASTER = "idl-master-key-of-the-tests"
USERS = ("ann", "bob", "cyd", "dan", "eve")
ITEMS = ("tea", "jam", "ale", "pie", "fig", "rye")
SECRET = "zanzibarite"
"""A word that only the reviews of ``ann`` hold."""


def text_of(user: str, item: str) -> str:
    """What a user writes of an item; ann shouts, and has a word of her own."""
    if user == "ann":
        return f"Wow!! I love the {item}! It is a {SECRET} thing, really! You must try it! Amazing!"
    return f"The {item} was fine. I had it with {user} and it did what it should. It is not bad at all."


def rows(users: tuple[str, ...] = USERS) -> list[dict[str, Any]]:
    """The reviews of a tenant."""
    return [
        {"id": f"{user}-{item}", "user": user, "item": item, "text": text_of(user, item), "timestamp": 10**9 + n}
        for user in users
        for n, item in enumerate(ITEMS)
    ]


@contextmanager
def listening(app: Any, config: Any = None) -> Iterator[str]:
    """An application on a free port of this machine; its address."""
    if config is None:
        config = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    ended = threading.Event()

    def run() -> None:
        try:
            server.run()
        finally:
            ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    while not server.started:
        assert not ended.wait(0.01), "the server did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def _events(last: str, said: str, usage: Any) -> Iterator[str]:
    """The stream that answers a last message."""

    def event(name: str, text: str = "", finish: str | None = None, index: int = 0) -> str:
        choice = {"index": index, "delta": {"content": text} if text else {}, "finish_reason": finish}
        return f"data: {json.dumps({'id': name, 'model': 'm-1', 'choices': [choice]})}\n\n"

    for n, word in enumerate(["one", " two", " three"] if last != "say much" else [said]):
        yield event(f"other-{n}", word)
        if last == "break off":
            return
    if last == "end one of two":
        yield event("second", "one", index=1) + event("first", finish="stop")
        return
    yield event("z", finish="stop")
    yield f"data: {json.dumps({'id': 'z', 'choices': [], 'usage': usage})}\n\n"
    yield "data: [DONE]\n\n"


def _refusal(last: str) -> Response:
    """The answer to ``fail STATUS WAIT`` or ``fail deeply``."""
    if last == "fail deeply":
        return Response("[" * 50_000, 400)
    _, status, *wait = last.split(maxsplit=2)
    error = {"message": f"status {status}", "type": "x", "param": "temperature", "code": "bad"}
    return JSONResponse({"error": error}, int(status), headers={"Retry-After": wait[0] if wait else "7"})


@dataclass
class UpstreamApp:
    """An OpenAI-compatible endpoint that answers with the number of messages, and fails on demand."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    address: str = ""

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/chat/completions")
        async def answer(request: Request) -> Any:
            body = await request.json()
            self.bodies.append(body)
            last = str(body["messages"][-1]["content"])
            if last.startswith("fail "):
                return _refusal(last)
            usage: Any = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
            if last == "odd usage":
                usage = "fourteen"
            said = "one two three" if last != "say much" else "much " * 2000
            if not body.get("stream"):
                message: dict[str, Any] = {"role": "assistant", "content": said}
                if body.get("tools"):
                    call = {"name": "look", "arguments": '{"at": 1}'}
                    message = {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
                    }
                finish = "tool_calls" if body.get("tools") else "stop"
                choice = {"index": 0, "message": message, "finish_reason": finish}
                return {"id": "up", "created": 1, "model": "m-1", "choices": [choice], "usage": usage}

            return StreamingResponse(_events(last, said, usage), media_type="text/event-stream")

        return app


@dataclass
class Server:
    """A running server with one tenant's reviews in it."""

    url: str
    config: ServerConfig
    app: Any
    key: str = MASTER
    opened: list[Any] = field(default_factory=list)

    def client(self, key: str | None = None, **options: Any) -> Any:
        """The official client."""
        how = {"base_url": f"{self.url}/v1", "api_key": key or self.key, "max_retries": 0, "timeout": 120}
        self.opened.append(openai.OpenAI(**how, **options))
        return self.opened[-1]

    def http(self, key: str | None = None) -> Any:
        """A plain HTTP client."""
        headers = {"Authorization": f"Bearer {self.key if key is None else key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=120)

    @property
    def services(self) -> Any:
        return self.app.state.services


@pytest.fixture(scope="session")
def start() -> Callable[..., Any]:
    """Starts a server: ``with start(folder, endpoint=...) as server``."""

    @contextmanager
    def run(folder: Path, **settings: Any) -> Iterator[Server]:
        config = ServerConfig(data=folder, key=MASTER, port=0, **settings)
        app = create_app(config)
        with listening(app, uvicorn_config(app, config)) as url:
            running = Server(url, config, app)
            try:
                yield running
            finally:
                for client in running.opened:
                    client.close()

    run.listening = listening
    return run


def fill(server: Server, users: tuple[str, ...] = USERS, key: str | None = None) -> None:
    """Add the reviews of a tenant."""
    items = [{"id": item, "title": item.title(), "description": f"{item} as one buys it"} for item in ITEMS]
    with server.http(key) as http:
        answer = http.post("/v1/reviews/batch", json={"reviews": rows(users), "items": items})
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="session")
def upstream() -> Iterator[UpstreamApp]:
    running = UpstreamApp()
    with listening(running.app()) as address:
        running.address = address
        yield running


@pytest.fixture(scope="session")
def server(upstream: UpstreamApp, start: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an upstream, shared by tests that change nothing of its users."""
    endpoint = {
        "base_url": f"{upstream.address}/v1",
        "model": "m-1",
        "price": {"prompt": 1_000_000, "completion": 2_000_000},
    }
    with ExitStack() as stack:
        running = stack.enter_context(
            start(tmp_path_factory.mktemp("served"), endpoint=endpoint, models=["m-2"], burst=5000)
        )
        fill(running)
        yield running


@pytest.fixture
def fresh(start: Any, tmp_path: Path, upstream: UpstreamApp) -> Iterator[Server]:
    """A server of one test's own, with an upstream."""
    endpoint = {"base_url": f"{upstream.address}/v1", "model": "m-1"}
    with start(tmp_path / "data", endpoint=endpoint) as running:
        fill(running)
        yield running


@pytest.fixture(scope="session")
def node_tools() -> Path:
    """Where TypeScript and axe are, if they were installed (.ci/run)."""
    root = Path(__file__).parents[2]
    return Path(os.environ.get("IDIOLECT_NODE_TOOLS", root / "build" / "node")) / "node_modules"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without a window. It ends with the module, because its event loop stops others in this thread."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium fonts-dejavu-core)")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def page(browser: Any, studio: Any) -> Iterator[Any]:
    """A page with the key of the studio's link; it fails if the console said anything, or a text became a script."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened, said = context.new_page(), []
    opened.set_default_timeout(60_000)
    opened.on("console", lambda line: "GL Driver" in line.text or said.append(line.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("dialog", lambda dialog: (said.append(f"dialog {dialog.message}"), dialog.dismiss()))
    opened.goto(f"{studio.url}/#key={studio.key}")
    opened.wait_for_selector("h1")
    opened.expected = []  # parts of lines that a test provokes: the browser may say them at any later time
    yield opened
    context.close()
    assert [line for line in said if not any(part in line for part in opened.expected)] == []


@pytest.fixture(scope="session")
def check_access(node_tools: Path) -> Callable[[Any], None]:
    """Checks the accessibility of a page."""

    def check(page: Any) -> None:
        """axe, WCAG 2.2 AA, if it is installed; and that every control has a name, in any case."""
        page.evaluate("scrollTo({top: 0, behavior: 'instant'})")  # else the header covers a part of a control
        unnamed = page.evaluate("""() => [...document.querySelectorAll("button, a[href], input, select, summary")]
            .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.length))
            .map((one) => one.outerHTML)""")
        assert unnamed == []
        axe = node_tools / "axe-core" / "axe.min.js"
        if axe.exists():
            page.evaluate(axe.read_text(encoding="utf-8"))
            tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
            found = page.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
            assert [
                (one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"]) for one in found["violations"]
            ] == []

    return check


PAGES = {
    "home": ("", ".people .what"),
    "person": ("person?user={user}", "#history .near"),
    "map": ("map?user={user}", ".nearest li"),
    "units": ("units", ".units tbody tr"),
    "unit": ("units?unit=3", ".tops, .near"),
    "evaluations": ("evaluations", ".runs a"),
    "evaluation": ("evaluations?run={run}", ".samples tbody a"),
    "sample": ("evaluations?run={run}&sample={sample}", ".voice.own"),
    "compare": ("evaluations?run={run}&with={other}", ".scores"),
}
"""Every page of the studio: its address, and what is there when it is ready."""


@pytest.fixture(params=PAGES)
def page_name(request: pytest.FixtureRequest) -> str:
    """Each page of ``PAGES``."""
    return request.param


@pytest.fixture(scope="session")
def open_page() -> Callable[..., None]:
    """Goes to a page of ``PAGES``: ``open_page(page, server, "unit")``."""

    def go(page: Any, server: Server, name: str) -> None:
        """Of the server's first user with several reviews, its first evaluation and the first sample of that."""
        with server.http() as http:
            user = http.get("/v1/users", params={"limit": 1}).json()["users"][0]["user"]
            run, other = (one["name"] for one in http.get("/v1/evaluations").json()["evaluations"][:2])
            asked = {"run": run, "condition": "rag", "limit": 1}
            (sample,) = http.get("/v1/evaluations/samples", params=asked).json()["samples"]
        address, ready = PAGES[name]
        page.goto(f"{server.url}/#/missing")
        page.goto(f"{server.url}/#/{address.format(user=user, run=run, other=other, sample=sample['target'])}")
        page.wait_for_selector(f"#main[aria-busy=false] :is({ready})", state="attached")  # it may be folded

    return go


@contextmanager
def served(folder: Path, **settings: str) -> Iterator[tuple[Any, str, str]]:
    """``idiolect serve`` as a process; its address and the key that it printed at its first start."""
    command = [sys.executable, "-m", "idiolect.cli.main", "serve", "--data", str(folder), "--port", "0"]
    environment = {**os.environ, "IDIOLECT_SERVE_SETTINGS__BACKBONE__MODEL": "fake"}
    environment |= {f"IDIOLECT_SERVE_{name.upper()}": value for name, value in settings.items()}
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    drain = threading.Thread(target=running.stderr.read)
    try:
        url, key = "", ""
        for line in running.stderr:
            if "idl_" in line and not line.startswith("{"):
                key = line.rsplit(" ", 1)[1].strip()
            elif line.startswith("{") and (found := json.loads(line)).get("message") == "listening":
                url = f"http://127.0.0.1:{found['port']}"
                break
        drain.start()
        yield running, url, key
    finally:
        running.kill()
        running.wait()
        if drain.ident is not None:
            drain.join()
        running.stderr.close()


@pytest.fixture
def process() -> Callable[..., Any]:
    """``with process(folder, store=...) as (process, address, key)``."""
    return served
