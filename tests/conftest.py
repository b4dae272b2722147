"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data and golden numbers beside the checkout; tests that need it skip without it."""
    folder = Path(os.environ.get("IDIOLECT_SHARED", Path(__file__).parents[1].parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"reference data not present: {folder} (set IDIOLECT_SHARED)")
    return folder


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    """Numbers that the papers' authors' programs produce."""
    return shared / "golden"
