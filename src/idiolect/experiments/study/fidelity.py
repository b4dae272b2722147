"""Trait fidelity of what the methods wrote on one seed, and of the users' own texts, which is what can be hoped for."""

from __future__ import annotations

import numpy as np

from idiolect.experiments.fidelity import USERS_OWN, style_targets
from idiolect.experiments.study.config import StudyConfig
from idiolect.experiments.study.pool import read_pool
from idiolect.experiments.study.rows import run_names
from idiolect.experiments.study.seed import SeedWorld


def seed_fidelity(world: SeedWorld, config: StudyConfig) -> dict[str, np.ndarray]:
    """Run to float64 (n,): the cosine of every sample's text (see ``evaluation.fidelity``).

    Args:
        world: The seed.
        config: The study.
    """
    data = world.data(config.settings)
    samples = data.samples("test")
    targets = style_targets(data, samples)
    pool = read_pool([world.folder], run_names(config))
    written = {name: texts for name in pool.runs if (texts := pool.texts(name)) is not None}
    written[USERS_OWN] = [sample.reference or "" for sample in samples]
    return {name: targets.score(texts).cosine for name, texts in written.items()}
