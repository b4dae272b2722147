"""Metrics: reference texts against predictions."""
