"""Metrics, likelihood and significance."""
