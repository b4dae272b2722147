"""Backends that continue prompts."""
