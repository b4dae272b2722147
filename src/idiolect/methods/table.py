"""Methods by name: those that are made from a language model and contexts alone, as RAG is."""

from __future__ import annotations

from collections.abc import Callable

from idiolect.methods.base import Method
from idiolect.registry import Registry

METHODS: Registry[Callable[..., Method]] = Registry(
    "method",
    {
        "nonpersonalized": "idiolect.methods.nonpersonalized:NonPersonalized",
        "rag": "idiolect.methods.rag:RAG",
    },
)
"""Called as ``make(llm, contexts, params=SamplingParams, prompt=PromptConfig)``. A method of your own joins by
``register``, or is named ``"module:Class"``; its ``name`` is what tables call it."""
