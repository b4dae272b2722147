"""The toy task as fixtures."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

# Test folders are no packages; the script of the distributed test imports the same file by its path.
_spec = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
assert _spec is not None
assert _spec.loader is not None
_toy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_toy)


@pytest.fixture(scope="session")
def examples():
    return _toy.toy_examples(96)


@pytest.fixture(scope="session")
def make_adapter():
    return _toy.toy_adapter


@pytest.fixture(scope="session")
def validation_loss():
    return _toy.validation_loss


@pytest.fixture(autouse=True)
def one_thread():
    """Small models are faster on one thread, and the sums do not depend on the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
