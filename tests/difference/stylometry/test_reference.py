from __future__ import annotations

from pathlib import Path

from idiolect.difference.stylometry.measures import table

PAGE = Path(__file__).parents[3] / "docs" / "stylometry.md"


def test_the_page_holds_the_table_that_the_code_makes() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), "paste idiolect.difference.stylometry.measures.table()"
