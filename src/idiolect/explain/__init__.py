"""Cards that explain how a user differs from peers, and human ratings of cards."""

from __future__ import annotations
