"""Tables and figures of the papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from idiolect.api.studies import silent
from idiolect.config import merge, read_yaml

if TYPE_CHECKING:
    from idiolect.experiments.tables.run import TableResult


def table(
    recipe: str,
    *,
    out: str | Path | None = None,
    profile: Literal["sandbox", "full"] = "sandbox",
    seeds: Sequence[int] = (),
    controls: bool = False,
    config: str | Path | None = None,
    say: Callable[[str], None] | None = None,
    progress: bool = False,
    **changes: Any,
) -> TableResult:
    """Run the missing parts of a paper's table or figure; results are shown next to the published figures.

    Args:
        recipe: A shipped one's name (``dep/table-1``), or a YAML file.
        out: Folder that tables of a profile share; None: ``idiolect-tables-<profile>``. Interrupted, call again.
        profile: ``sandbox``: made-up reviews and the shipped model, no network; ``full``: the papers' data and models.
        seeds: Instead of the profile's.
        controls: Also run every row's negative controls.
        config: YAML file of settings of the profile.
        say: Called with a line per step; None: nothing is said.
        progress: Show bars.
        **changes: Settings of the profile (``settings={"targets": {"max_test": 16}}``).

    Returns:
        ``.table()``, ``.files`` (Markdown, LaTeX, CSV, figures) and ``.report``, an HTML page that opens offline.

    Raises:
        NotFoundError: There is no such table.
        ConfigError: A setting is wrong, or ``out`` holds something else.

    Example:
        >>> print(table("dep/table-9"))  # doctest: +SKIP
    """
    from idiolect.experiments.tables.spec import load_table

    load_table(recipe)  # a slip is found before anything heavy is imported
    from idiolect.experiments.tables.run import reproduce

    return reproduce(
        recipe,
        out=None if out is None else Path(out),
        name=profile,
        changes=merge(read_yaml(Path(config)) if config else {}, changes),
        seeds=seeds,
        controls=controls,
        say=say or silent,
        progress=progress,
    )
