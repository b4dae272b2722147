"""Differences as records: taxonomy, parsing, checks and votes over text, without a language model."""

from __future__ import annotations
