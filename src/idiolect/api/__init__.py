"""The front door: what ``import idiolect`` exports, one call per command."""
