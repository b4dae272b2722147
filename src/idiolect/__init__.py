"""Difference-aware personalization of language models.

Example:
    >>> import idiolect as idl
    >>> store = idl.Store("people.db")  # doctest: +SKIP
    >>> store.add(df, user="reviewerID", item="asin", text="reviewText")  # doctest: +SKIP
    >>> split = store.split("split", preset="dpl")  # doctest: +SKIP
    >>> dep = idl.DEP("Qwen/Qwen2.5-7B-Instruct", encoder="BAAI/bge-m3").fit(split)  # doctest: +SKIP
    >>> dep.write(store, user="ann", item="B1", rating=4).text  # doctest: +SKIP
    >>> idl.evaluate([idl.RAG("Qwen/Qwen2.5-7B-Instruct"), dep], split, out="results").table()  # doctest: +SKIP
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from idiolect.types import Item, Prediction, Review, Sample
from idiolect.version import __version__

if TYPE_CHECKING:
    from idiolect.api.evaluation import Scores, compare, evaluate, score
    from idiolect.api.personalizers import (
        DEP,
        DPL,
        DRP,
        PAG,
        RAG,
        FittedPersonalizer,
        NonPersonalized,
        Personalizer,
        PPlug,
    )
    from idiolect.api.serving import create_app, serve, serve_mcp, studio
    from idiolect.api.store import Split, Store
    from idiolect.api.studies import demo, make_world, pretrain, study_real, study_sandbox
    from idiolect.api.tables import table
    from idiolect.diagnostics import doctor
    from idiolect.difference.bulk import differences
    from idiolect.planning import plan
    from idiolect.server.keys import ApiKeys

_LAZY = {
    **dict.fromkeys(("Store", "Split"), "idiolect.api.store"),
    **dict.fromkeys(
        ("NonPersonalized", "RAG", "PAG", "DPL", "DRP", "DEP", "PPlug", "Personalizer", "FittedPersonalizer"),
        "idiolect.api.personalizers",
    ),
    **dict.fromkeys(("evaluate", "score", "compare", "Scores"), "idiolect.api.evaluation"),
    "table": "idiolect.api.tables",
    **dict.fromkeys(("demo", "make_world", "pretrain", "study_real", "study_sandbox"), "idiolect.api.studies"),
    **dict.fromkeys(("create_app", "serve", "serve_mcp", "studio"), "idiolect.api.serving"),
    "doctor": "idiolect.diagnostics",
    "plan": "idiolect.planning",
    "differences": "idiolect.difference.bulk",
    "ApiKeys": "idiolect.server.keys",
}
"""Imported when first used, so that ``import idiolect`` takes milliseconds and loads no torch."""

__all__ = [
    "DEP",
    "DPL",
    "DRP",
    "PAG",
    "RAG",
    "ApiKeys",
    "FittedPersonalizer",
    "Item",
    "NonPersonalized",
    "PPlug",
    "Personalizer",
    "Prediction",
    "Review",
    "Sample",
    "Scores",
    "Split",
    "Store",
    "__version__",
    "compare",
    "create_app",
    "demo",
    "differences",
    "doctor",
    "evaluate",
    "make_world",
    "plan",
    "pretrain",
    "score",
    "serve",
    "serve_mcp",
    "studio",
    "study_real",
    "study_sandbox",
    "table",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'idiolect' has no attribute {name!r}", name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted(__all__)
