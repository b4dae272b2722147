"""The retrievers by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from idiolect.encoders.base import Encoder
from idiolect.errors import ConfigError
from idiolect.registry import Registry
from idiolect.retrieval.base import Retriever
from idiolect.store.base import ReviewReader

RETRIEVERS: Registry[Callable[..., Retriever]] = Registry(
    "retriever",
    {
        "bm25": "idiolect.retrieval.bm25:BM25",
        "dense": "idiolect.retrieval.dense:Dense",
        "random": "idiolect.retrieval.random:Random",
        "recency": "idiolect.retrieval.recency:Recency",
    },
)


def encodes(name: str) -> bool:
    """Whether the retriever called ``name`` embeds what it looks for.

    Raises:
        ConfigError: There is none of that name.
    """
    return "encoder" in inspect.signature(RETRIEVERS.get(name)).parameters


def make_retriever(
    name: str, *, seed: int = 0, encoder: Encoder | None = None, reader: ReviewReader | None = None
) -> Retriever:
    """The retriever called ``name``, given those of the arguments that its constructor names.

    Args:
        name: A name in ``RETRIEVERS``.
        seed: For retrievers that draw.
        encoder: For retrievers that encode.
        reader: For retrievers that read stored vectors.

    Raises:
        ConfigError: There is none of that name, or it needs an argument that is None.
    """
    make = RETRIEVERS.get(name)
    offered = {"seed": seed, "encoder": encoder, "reader": reader}
    arguments = {wanted: offered[wanted] for wanted in inspect.signature(make).parameters}
    for wanted, value in arguments.items():
        if value is None:
            raise ConfigError(f"retriever {name!r} needs {wanted}, which is None", hint=f"pass {wanted}=")
    return make(**arguments)
