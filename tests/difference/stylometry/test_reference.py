from __future__ import annotations

from pathlib import Path

import pytest

from idiolect.difference.stylometry.measures import table

PAGE = Path(__file__).parents[3] / "docs" / "stylometry.md"


@pytest.mark.skipif(not PAGE.is_file(), reason="docs/stylometry.md is not beside the tests")
def test_the_page_holds_the_table_that_the_code_makes() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), "paste idiolect.difference.stylometry.measures.table()"
