"""Claimed differences as records: taxonomy, parser, checks, redaction and vote. Needs no language model."""

from __future__ import annotations
