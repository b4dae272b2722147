"""The server, its studio and its keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idiolect.api.store import Store, path_of
from idiolect.errors import ConfigError, require

if TYPE_CHECKING:
    from fastapi import FastAPI

    from idiolect.server.settings import ServerConfig

_PACKAGES = ("fastapi", "uvicorn", "prometheus_client", "httpx2")


def create_app(
    store: Store | str | Path | None = None, *, config: str | Path | None = None, **settings: Any
) -> FastAPI:
    """The server as an ASGI application, to be mounted in another one or run by any ASGI server.

    Args:
        store: Path or database URL of the store; ``{tenant}`` in it is replaced by the tenant's name. None: a store per
            tenant in the folder ``data``.
        config: YAML file of settings. ``IDIOLECT_SERVE_*`` variables go before it, keyword arguments before both.
        **settings: The settings on the page of the server (``adapter="dep"``, ``min_peers=5``, ``key=...``,
            ``endpoint={"base_url": "http://localhost:8000/v1", "model": "qwen"}``).

    Raises:
        ConfigError: A setting is unknown or wrong.
        NotFoundError: There is no such adapter.

    Example:
        >>> app = create_app("people.db", key="a-long-secret-of-your-own")  # doctest: +SKIP
    """
    chosen = _settings(store, config, settings)
    from idiolect.server.app import create_app as created

    return created(chosen)


def serve(
    store: Store | str | Path | None = None,
    *,
    config: str | Path | None = None,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> None:
    """Serve OpenAI's routes, a REST API and MCP in users' voices until the process is asked to end.

    Args:
        store: See ``create_app``.
        config: See ``create_app``.
        say: Gets the API key that is made at the first start, which is shown once.
        **settings: See ``create_app``; also ``host`` and ``port``.

    Raises:
        ConfigError: A setting is wrong, or the address cannot be listened at.
        IdiolectError: The store cannot be used.
    """
    chosen = _settings(store, config, settings)
    from idiolect.server.app import serve as run
    from idiolect.server.keys import ApiKeys
    from idiolect.server.settings import DEFAULT_TENANT

    if not chosen.key:
        keys = ApiKeys(chosen.data / "keys.db")
        if not keys.list():
            _, sent = keys.add(DEFAULT_TENANT, note="made at the first start")
            say(f"API key of the tenant {DEFAULT_TENANT!r}, shown this once: {sent}")
        keys.close()
    run(chosen)


def serve_mcp(store: Store | str | Path | None = None, *, config: str | Path | None = None, **settings: Any) -> None:
    """Serve MCP over standard input and output to an agent on this machine. Arguments: see ``create_app``."""
    require("mcp", extra="serve")
    chosen = _settings(store, config, settings)
    from idiolect.server.app import serve_mcp as run

    run(chosen)


def studio(
    store: Store | str | Path,
    *,
    results: Sequence[str | Path] = (),
    port: int = 8766,
    browser: bool = True,
    config: str | Path | None = None,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> None:
    """Open a page that shows how users differ and what methods write, on this machine alone, until interrupted.

    Args:
        store: Reviews, corrections and erasures are those of this store.
        results: Folders of evaluations to look at.
        port: Port on 127.0.0.1; another free one, if it is taken.
        browser: Open the browser.
        config: See ``create_app``.
        say: Gets the link, which holds a key of this process.
        **settings: See ``create_app`` (``adapter="dep"``, ``show_peers=True``).

    Raises:
        NotFoundError: There is no store.
        ConfigError: A setting is wrong.
    """
    own = {"results": tuple(Path(one) for one in results), "port": port}
    chosen = _settings(store, config, {**settings, **own})
    from idiolect.server.launch import run_studio
    from idiolect.store.sql import SqlStore

    SqlStore(chosen.store, create=False).close()
    run_studio(chosen, browser=browser, say=say)


def _settings(store: Store | str | Path | None, config: str | Path | None, settings: dict[str, Any]) -> ServerConfig:
    for package in _PACKAGES:
        require(package, extra="serve")
    from idiolect.server.settings import load_config

    if store is not None:
        settings = {**settings, "store": path_of(store)}
    if not str(settings.get("store", "?")).strip():
        raise ConfigError("'' names no store", hint="leave the store out, or name a file; is a variable empty?")
    return load_config(None if config is None else Path(config), settings)
