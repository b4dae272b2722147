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
    from idiolect.api.store import Split, Store
    from idiolect.api.studies import study_real
    from idiolect.api.tables import table

_LAZY = {
    **dict.fromkeys(("Store", "Split"), "idiolect.api.store"),
    **dict.fromkeys(
        ("NonPersonalized", "RAG", "PAG", "DPL", "DRP", "DEP", "PPlug", "Personalizer", "FittedPersonalizer"),
        "idiolect.api.personalizers",
    ),
    **dict.fromkeys(("evaluate", "score", "compare", "Scores"), "idiolect.api.evaluation"),
    "table": "idiolect.api.tables",
    "study_real": "idiolect.api.studies",
}
"""Imported when first used, so that ``import idiolect`` takes milliseconds and loads no torch."""

__all__ = [
    "DEP",
    "DPL",
    "DRP",
    "PAG",
    "RAG",
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
    "evaluate",
    "score",
    "study_real",
    "table",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'idiolect' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
