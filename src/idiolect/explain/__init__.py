"""How a user differs from others, as a card for people; and what people say of such cards."""

from __future__ import annotations
