"""Whether the model hub can be reached; without it only models that were downloaded before are looked for.

Its client tries every file of a model six times, over half a minute each, before it says that there is no network.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

_HUB = "https://huggingface.co"
_WAIT_S = 5.0
"""For a connection: less than the client's first two attempts."""


def only_cached(model: str) -> bool:
    """Whether ``model`` can come from the cache only; for ``local_files_only`` of the loaders.

    False for a folder, and behind a proxy, which may know the hub although this machine does not. ``HF_ENDPOINT`` names
    another hub, ``HF_HUB_OFFLINE`` says that there is none.

    Args:
        model: A folder or a hub name.
    """
    if Path(model).is_dir():
        return False
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return True
    hub = urlsplit(os.environ.get("HF_ENDPOINT") or _HUB)
    if hub.hostname is None or {"all", hub.scheme} & getproxies().keys():
        return False
    try:
        port = hub.port or (80 if hub.scheme == "http" else 443)
    except ValueError:  # no number: the client says so
        return False
    try:
        socket.create_connection((hub.hostname, port), timeout=_WAIT_S).close()
    except OSError:
        return True
    return False
