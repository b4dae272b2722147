"""The whole comparison on reviews of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idiolect.errors import InputError

if TYPE_CHECKING:
    from idiolect.experiments.real import RealReport


def study_real(
    corpus: str | Path,
    *,
    items: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    out: str | Path = "idiolect-study",
    say: Callable[[str], None] | None = None,
    progress: bool = False,
    **changes: Any,
) -> RealReport:
    """Compare all methods and controls on a corpus, with a small backbone pretrained on it; hours on two cores.

    Filters, lengths and sizes are chosen from the corpus. Titles, ratings, times and texts of items may be missing.

    Args:
        corpus: Path of the reviews, in any format that ``Store.add`` reads.
        items: Path of the items, for titles and descriptions; None if there are none, or the reviews hold them.
        columns: The column of a field (``{"text": "body"}``) that is not found by its name.
        out: Folder of the study. Interrupted, call again.
        say: Called with a line per step; None: nothing is said.
        progress: Show bars.
        **changes: Budget (``pretrain_tokens=1_000_000``, ``steps=(60, 40)``, ``seed=1``): the fields of
            ``idiolect.experiments.real.RealConfig``.

    Returns:
        ``.page`` and its ``.text``, ``.evaluations`` (by pass: DEP without and with the text of past reviews),
        ``.warnings`` and the ``.backbone``'s figures.

    Raises:
        InputError: The corpus cannot be read, or no user has enough reviews.
        ConfigError: A setting is wrong, or ``out`` holds another study or other files.

    Example:
        >>> print(study_real("reviews.jsonl", out="my-study").text)  # doctest: +SKIP
    """
    if not isinstance(corpus, (str, Path)):
        raise InputError(
            f"corpus is a {type(corpus).__name__}, not a path", hint="write the reviews to a file (JSON lines, Parquet)"
        )
    from idiolect.config import build
    from idiolect.experiments.real import RealConfig, run_real

    config = build(RealConfig, changes, where="study_real")
    tell = say or (lambda line: None)
    return run_real(Path(out), corpus, items=items, columns=columns, config=config, say=tell, progress=progress)
