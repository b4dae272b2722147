"""Loading and saving models without other libraries' progress bars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from idiolect.errors import require


@contextmanager
def no_bars() -> Iterator[None]:
    """Switch the bars of transformers off, and back on as they were."""
    logging = require("transformers.utils.logging", extra="train")
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
