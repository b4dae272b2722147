"""``idiolect studio``: the server on this machine alone, with a key that nobody needs to manage."""

from __future__ import annotations

import secrets
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

from idiolect.server.app import serve
from idiolect.server.settings import ServerConfig

LOOPBACK = "127.0.0.1"


def run_studio(config: ServerConfig, *, browser: bool = True, say: Callable[[str], None]) -> None:
    """Serve the studio on this machine until the process is asked to end.

    The link holds a key of this process in its fragment, which browsers send to nobody: other users and other sites'
    pages on this machine cannot read the store.

    Args:
        config: Settings; host, keys and MCP are those of the studio.
        browser: Open the link.
        say: Gets the link.
    """
    key = secrets.token_urlsafe(32)

    def ready(host: str, port: int) -> None:
        link = f"http://{host}:{port}/#key={key}"
        say(f"studio of {config.store}: {link}")
        if browser:
            threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()

    with tempfile.TemporaryDirectory(prefix="idiolect-studio-") as folder:
        own = {"host": LOOPBACK, "port": _free(config.port), "data": Path(folder), "key": key, "mcp": False}
        serve(config.model_copy(update={**own, "studio": True}), ready=ready, quiet=True)


def _free(port: int) -> int:
    """The port, or 0 (any) if it is taken."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((LOOPBACK, port))
        except OSError:
            return 0
    return port
