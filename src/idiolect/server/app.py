"""The application and how it is run."""

from __future__ import annotations

import asyncio
import errno
import gc
import html
import importlib.util
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from idiolect.errors import ConfigError
from idiolect.server import evaluations, explore, openai_api, responses, rest, studio
from idiolect.server.http import (
    ERRORS,
    MCP_PATH,
    METADATA_PATH,
    PUBLIC,
    STUDIO_FILES,
    Allow,
    ApiError,
    Gate,
    Guard,
    JsonLines,
    MayAdmin,
    Metrics,
    Services,
    address,
    handle,
)
from idiolect.server.keys import SCOPES, ApiKeys
from idiolect.server.settings import DEFAULT_TENANT, ServerConfig
from idiolect.server.tenants import Tenants
from idiolect.server.upstream import Upstream
from idiolect.server.voice import Voices
from idiolect.version import __version__


def create_app(config: ServerConfig) -> FastAPI:
    """The server as an ASGI application.

    Args:
        config: Its settings.

    Raises:
        ConfigError: A setting is wrong.
        NotFoundError: There is no such adapter.
    """
    metrics, voices = Metrics(), Voices(config)
    keys = ApiKeys(config.data / "keys.db", master=config.key)
    tenants = Tenants(config, voices.encoders)
    gate = Gate(config.concurrency, config.waiting)
    app = FastAPI(
        title="idiolect",
        version=__version__,
        description="Any OpenAI client and any agent, in a person's voice.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        responses=ERRORS,
    )
    app.state.services = Services(config, keys, tenants, voices, gate, metrics)
    for kind in (ApiError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, handle)
    for one in (openai_api, responses, rest, explore, evaluations):
        app.router.routes.extend(one.router.routes)
    _add_operation(app)
    if config.studio:
        app.router.routes.extend(studio.routes())
    _mount_mcp(app)
    _check_routes(app)
    app.add_middleware(Guard, config=config, keys=keys, metrics=metrics)
    if config.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(config.origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["x-request-id", "retry-after"],
        )
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    config = services.config
    async with AsyncExitStack() as stack:
        stack.callback(services.keys.close)
        stack.callback(services.tenants.close)
        stack.callback(services.voices.close)
        if config.endpoint is not None:
            limits = {"timeout": config.timeout_seconds, "connections": config.concurrency}
            services.upstream = Upstream(config.endpoint, **limits)
            stack.push_async_callback(services.upstream.close)
        await run_in_threadpool(services.tenants.get, DEFAULT_TENANT)
        if app.state.mcp is not None:
            await stack.enter_async_context(app.state.mcp.session_manager.run())
        app.state.ready = True
        yield
        app.state.ready = False


def _mount_mcp(app: FastAPI) -> None:
    app.state.mcp = None
    if app.state.services.config.mcp and importlib.util.find_spec("mcp") is not None:
        from idiolect.server.mcp import make_mcp, routes

        app.state.mcp = make_mcp(app.state.services)
        app.router.routes.extend(routes(app.state.mcp))
        _add_metadata(app)


def _add_metadata(app: FastAPI) -> None:
    """What clients of MCP look up when they are refused (RFC 9728)."""

    @app.get(METADATA_PATH, include_in_schema=False)
    @app.get(METADATA_PATH + MCP_PATH, include_in_schema=False)
    async def metadata(request: Request) -> dict[str, Any]:
        where = address(request.app.state.services.config, request.scope)
        # Keys are made by this server, not by an authorization server, so that none is named.
        return {
            "resource": where + MCP_PATH,
            "resource_name": "idiolect",
            "resource_documentation": f"{where}/docs",
            "scopes_supported": list(SCOPES),
            "bearer_methods_supported": ["header"],
        }


def _check_routes(app: FastAPI) -> None:
    """Refuse to start with a route that lets anybody in; the tools behind ``/mcp`` ask for scopes themselves."""
    for route in app.routes:
        path = getattr(route, "path", None)
        dependencies = route.dependant.dependencies if isinstance(route, APIRoute) else []
        is_public = path in PUBLIC or str(path).startswith(STUDIO_FILES)
        guarded = any(isinstance(one.call, Allow) for one in dependencies)
        if not guarded and not is_public and path != MCP_PATH:
            raise RuntimeError(f"the route {path} asks for no scope")


def _add_operation(app: FastAPI) -> None:
    """Health, readiness, metrics and the page of routes."""

    @app.get("/healthz", tags=["operation"], summary="Whether the process is alive")
    async def health() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @app.get("/readyz", tags=["operation"], summary="Whether requests can be answered", response_model=None)
    async def ready(request: Request) -> Response:
        services: Services = request.app.state.services
        tenant = services.tenants.opened(DEFAULT_TENANT)
        is_ready = bool(getattr(request.app.state, "ready", False)) and tenant is not None
        if is_ready and tenant is not None:
            await run_in_threadpool(tenant.store.counts)
        model = "upstream" if services.upstream else "in process"
        return JSONResponse({"ready": is_ready, "model": model}, 200 if is_ready else 503)

    text = {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "In Prometheus' format."}

    @app.get("/metrics", tags=["operation"], summary="Prometheus metrics", response_class=PlainTextResponse,
             responses={200: text})  # fmt: skip
    async def metrics(request: Request, _: MayAdmin) -> Response:
        services: Services = request.app.state.services
        return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(_page(request.app.openapi()), headers={"content-security-policy": _POLICY})


_SWITCH_SECONDS = 0.001
"""After which a computing thread gives way to the one that receives and sends; by default every request would wait 5 ms
for each of them."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def _page(schema: dict[str, Any]) -> str:
    """The routes as a page without scripts, so that it needs no network and lets none in."""
    rows = [
        f"<tr><td><b>{method.upper()}</b></td><td><code>{html.escape(path)}</code></td>"
        f"<td><b>{html.escape(route.get('summary', ''))}</b><br>{html.escape(route.get('description', ''))}</td></tr>"
        for path, methods in schema["paths"].items()
        for method, route in methods.items()
    ]
    style = (
        ":root{color-scheme:light dark}body{font:16px sans-serif;margin:clamp(1em,4vw,2em);overflow-wrap:anywhere}"
        "td{padding:.4em 1em .4em 0;vertical-align:top}td:first-child{overflow-wrap:normal}"
        "@media(max-width:40rem){td{display:block;padding:0}tr{display:block;padding:.6em 0}}"
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>idiolect</title><style>{style}</style>"
        f"<main><h1>idiolect {__version__}</h1><p>For programs: <a href=/openapi.json>/openapi.json</a>. "
        f"Keys are sent as <code>Authorization: Bearer idl_...</code></p><table>{''.join(rows)}</table></main>"
    )


class _Server(uvicorn.Server):
    """Says where it listens, once it does.

    Args:
        config: How uvicorn runs.
        ready: Called with host and port.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[str, int], None] | None = None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            address = self.servers[0].sockets[0].getsockname()
            logging.getLogger("idiolect.server").info(
                "listening", extra={"fields": {"host": address[0], "port": address[1]}}
            )
            if self._ready is not None:
                self._ready(address[0], address[1])


def serve(config: ServerConfig, *, ready: Callable[[str, int], None] | None = None, quiet: bool = False) -> None:
    """Answer requests until the process is asked to end; requests under way are finished first.

    Args:
        config: The server's settings.
        ready: Called with host and port once requests are answered.
        quiet: Log warnings only.

    Raises:
        ConfigError: Host and port are none to listen at, or another process does.
        IdiolectError: The store cannot be used.
    """
    _check_address(config.host, config.port)
    app = create_app(config)
    app.state.services.tenants.get(DEFAULT_TENANT)  # here, where what is wrong with the store is one line
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # a full collection over all imported modules would stop every request for a tenth of a second
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING if quiet else logging.INFO, handlers=[handler], force=True)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # "listening" says it, with the address
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # raised again by uvicorn when everything has ended
    asyncio.run(_Server(uvicorn_config(app, config), ready).serve())


def _check_address(host: str, port: int) -> None:
    """Refuse an address that cannot be listened at, before anything is loaded."""
    failed: list[OSError | UnicodeError] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        found, failed = [], [error]
    for family, kind, protocol, _, place in found:
        try:
            with socket.socket(family, kind, protocol) as tried:
                if os.name == "posix":  # elsewhere the option lets two processes share a port
                    tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind(place)
        except OSError as error:
            failed.append(error)
    # A name may stand for an address that the machine does not have, such as that of localhost in IPv6.
    taken = next((one for one in failed if getattr(one, "errno", None) == errno.EADDRINUSE), None)
    if error := taken or (failed[0] if len(failed) >= max(1, len(found)) else None):
        raise ConfigError(
            f"cannot listen at {host}, port {port}: {getattr(error, 'strerror', None) or error}",
            hint="name another --host or --port; perhaps a server is running there already",
        ) from error


def serve_mcp(config: ServerConfig) -> None:
    """MCP over standard input and output, on the store of the tenant ``default``."""
    from idiolect.server.mcp import make_mcp

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)
    voices = Voices(config)
    tenants = Tenants(config, voices.encoders)
    gate = Gate(config.concurrency, config.waiting)
    keys = ApiKeys(config.data / "keys.db")
    services = Services(config, keys, tenants, voices, gate, Metrics())
    try:
        make_mcp(services, tenants.get(DEFAULT_TENANT)).run("stdio")
    finally:
        tenants.close()
        voices.close()
        keys.close()


def uvicorn_config(app: FastAPI, config: ServerConfig) -> uvicorn.Config:
    """How uvicorn runs the application."""
    return uvicorn.Config(
        app,
        host=config.host,
        port=config.port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=int(config.shutdown_seconds),
        h11_max_incomplete_event_size=64 * 1024,
        limit_concurrency=max(1000, 8 * (config.concurrency + config.waiting)),
    )


def openapi(config: ServerConfig) -> str:
    """The OpenAPI document as JSON."""
    return json.dumps(create_app(config).openapi(), indent=1)
