"""Contexts to segments of text and slots, and those to token ids."""
