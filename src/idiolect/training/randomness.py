"""Keeping the caller's random state: the Trainer seeds every global generator, which is not ours to do."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Put the global generators of Python, NumPy and torch (all devices) back as they were."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global one is what is kept
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
