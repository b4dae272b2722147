from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from idiolect.experiments.study.probes import ProbeConfig, ProbeResults, run_probes
from idiolect.sandbox.world import World, WorldConfig


class Oracle:
    """An "encoder" that sees the planted logits of a text, a tenth of them so that float16 holds them well."""

    def __init__(self, *worlds: WorldConfig) -> None:
        self.name, self.dim, self.encoded = "oracle", 25, 0
        self._rows: dict[str, np.ndarray] = {}
        for config in worlds:
            world = World(config)
            for user in range(config.n_users):
                scores = world.realised(user)
                rows = np.log(scores / (1 - scores)) / 10
                self._rows |= {r.text: row for r, row in zip(world.reviews_of(user), rows, strict=True)}

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
        self.encoded += len(texts)
        return np.stack([self._rows[text] for text in texts]).astype(np.float32)


WORLD = WorldConfig(seed=11, n_items=60, words=20, user_sd=2.0, genre_sd=1.8, item_sd=1.0, noise_sd=0.5)
CONFIG = ProbeConfig(
    n_users=90,
    curve_users=90,
    anchors=(1, 8),
    peers=(1, 4),
    confounding=(0.0, 1.0),
    noise_sd=(0.5, 2.0),
    curve_anchors=1,
    draws=2,
    resamples=200,
)


@pytest.fixture(scope="session")
def world() -> WorldConfig:
    """Where items confound."""
    return WORLD


@pytest.fixture(scope="session")
def config() -> ProbeConfig:
    """Small curves of two or three points."""
    return CONFIG


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    small = WORLD.model_copy(update={"n_users": 90})
    still = small.model_copy(update={"genre_sd": 0.0, "item_sd": 0.0})
    return Oracle(small, still, small.model_copy(update={"noise_sd": 2.0}))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory):
    return tmp_path_factory.mktemp("probes")


@pytest.fixture(scope="session")
def results(oracle, cache) -> ProbeResults:
    """Probes of an oracle; ``cache`` holds their points afterwards."""
    return run_probes(WORLD, oracle, cache, CONFIG)
