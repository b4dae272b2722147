"""All items of a world, with the effects of their genres."""

from __future__ import annotations

import numpy as np

from idiolect.sandbox.config import WorldConfig
from idiolect.sandbox.domain import Genre, load_domain
from idiolect.sandbox.draw import stream
from idiolect.sandbox.subject import Subject, subject
from idiolect.sandbox.traits import N_TRAITS

_STREAM = 0


class Catalogue:
    """The items, genres taking turns, and what item and genre together add to everybody's trait logits.

    Attributes:
        genres: The genres of the world's domains.
        subjects: Every item.
        genre_effects: float32 (n_genres, n_traits).
        effects: float32 (n_items, n_traits), genre included.
        quality: float64 (n_items,), standard normal.
    """

    def __init__(self, config: WorldConfig) -> None:
        self.genres: tuple[Genre, ...] = tuple(g for name in config.domains for g in load_domain(name).genres)
        self.subjects: list[Subject] = []
        for k in range(config.n_items):
            self.subjects.append(self._next(k, config))
        effects = [stream(config.law_seed, _STREAM, *g.name.encode()).standard_normal(N_TRAITS) for g in self.genres]
        self.genre_effects = (config.genre_sd * np.stack(effects)).astype(np.float32)
        own = np.stack([about.effect for about in self.subjects])
        self.effects = own + self.genre_effects[np.arange(config.n_items) % len(self.genres)]
        self.quality = np.array([about.quality for about in self.subjects])

    def _next(self, k: int, config: WorldConfig) -> Subject:
        genre = self.genres[k % len(self.genres)]
        earlier = k - len(self.genres)
        rival = self.subjects[earlier].item.title if earlier >= 0 else "the usual suspects"
        domain = load_domain(genre.domain)
        return subject(k, genre, domain, seed=config.seed, item_sd=config.item_sd, rival=rival)
