"""Progress bars of transformers stay off while any thread wants none."""

import pytest

pytest.importorskip("transformers")

from idiolect.encoders import disable_progress_bars


def test_bars_come_back_with_the_last_who_wanted_none():
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.enable_progress_bar()
    try:
        first, second = disable_progress_bars(), disable_progress_bars()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert not logging.is_progress_bar_enabled()
        second.__exit__(None, None, None)
        assert logging.is_progress_bar_enabled()
    finally:
        (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
