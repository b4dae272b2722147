"""The studio: a page that shows people, texts and evaluations, as static files of the package.

The page holds nothing of a tenant: it calls the REST routes with the key that the visitor brings. Its policy lets it
load its own files only, runs no script or style of a document, and lets no other site frame it.
"""

from __future__ import annotations

import json
from hashlib import sha256
from importlib.resources import files

from fastapi import Request
from fastapi.responses import Response
from starlette.routing import Route

from idiolect.methods.base import METHODS, Requirements, requirements
from idiolect.server.http import STUDIO_FILES, ApiError

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Content-Security-Policy of the page."""
_HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-cache",
}
_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
PAGE = "index.html"


def page_files() -> dict[str, bytes]:
    """The studio's files by name; ``methods.js`` with what the registered methods declare."""
    folder = files("idiolect.server") / "static"
    found = {one.name: one.read_bytes() for one in folder.iterdir() if one.name.rpartition(".")[2] in _KINDS}
    declared = json.dumps({name: _declared(name, requirements(name)) for name in METHODS})
    return found | {"methods.js": found["methods.js"].replace(b"= {}", b"= " + declared.encode())}


def _declared(name: str, needs: Requirements) -> dict[str, object]:
    return {
        "title": needs.title or name,
        "reads": needs.reads,
        "about": needs.about,
        "history": needs.history,
        "adapter": needs.adapter is not None,
        "profile": needs.measures,
        "peers": needs.peers,
    }


def routes() -> list[Route]:
    """The page at ``/``, and its files."""
    held = page_files()
    tags = {name: f'"{sha256(content).hexdigest()[:32]}"' for name, content in held.items()}

    def send(request: Request, name: str) -> Response:
        if name not in held:
            raise ApiError(404, "there is no such file", code="not_found")
        headers = {**_HEADERS, "etag": tags[name]}
        if request.headers.get("if-none-match") == tags[name]:
            return Response(status_code=304, headers=headers)
        return Response(held[name], media_type=_KINDS[name.rpartition(".")[2]], headers=headers)

    def page(request: Request) -> Response:
        return send(request, PAGE)

    def file(request: Request) -> Response:
        return send(request, request.path_params["name"])

    return [Route("/", page), Route(f"{STUDIO_FILES}{{name}}", file)]
