"""Contexts to segments of text and virtual tokens, and those to token ids."""
