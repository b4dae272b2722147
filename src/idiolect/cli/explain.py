"""``idiolect explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from idiolect.cli.card import print_card
from idiolect.cli.options import Json, KeyFile, Set, StorePath, UserName, overrides, show
from idiolect.config import load
from idiolect.errors import ConfigError
from idiolect.experiments.explain.markdown import to_markdown
from idiolect.experiments.explain.rating_sheet import write_sheet
from idiolect.experiments.explain.ratings import rate
from idiolect.experiments.explain.run import explain_user
from idiolect.experiments.explain.settings import ExplainConfig

_Sheets = Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="", allow_leading_hyphen=False)]


def explain(
    user: UserName | None = None,
    /,
    *,
    store: StorePath = "idiolect.db",
    answers: Path | None = None,
    rating_sheet: Path | None = None,
    users: int = 20,
    seed: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    ratings: Annotated[
        tuple[Path, ...], Parameter(consume_multiple=True, negative="", allow_leading_hyphen=False)
    ] = (),
    key: Path | None = None,
    pseudonyms: KeyFile = None,
    config: Path | None = None,
    set: Set = (),
    markdown: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Show how a user differs from others who wrote about the same items, and on what evidence.

    No model is needed. Instead of USER: --rating-sheet writes a blinded sheet that people can rate, --ratings reads
    rated sheets back.

    Args:
        user: Whose card. An id that begins with -- goes last, behind a -- of its own.
        store: SQLite file or database URL.
        answers: What a model said of the user, checked and added: the samples of an evaluation in which a model was the
            extractor (samples/drp.jsonl), or JSON lines, each with review and answer.
        rating_sheet: CSV file to write; its key is written beside it and is not for the raters.
        users: Users on the sheet.
        seed: Of the sheet's choices, or of the intervals of the ratings.
        ratings: Sheets that came back, a file a rater.
        key: Key of the sheet, where it is not beside the first of them.
        pseudonyms: File of the key, where the store knows users by pseudonyms.
        config: YAML file of settings.
        set: A setting as name=value (least_effect=0.5, quotes=3); may be repeated.
        markdown: Print the card as Markdown.
        json: Print one JSON object.
    """
    if sum((user is not None, rating_sheet is not None, bool(ratings))) != 1:
        raise ConfigError("explain takes one of USER, --rating-sheet and --ratings", hint="idiolect explain USER")
    settings = load(ExplainConfig, config, overrides(set))
    if ratings:
        found = rate(ratings, key=key, seed=seed)
        show(found.record(), found.text, as_json=json)
    elif rating_sheet is not None:
        written = write_sheet(store, rating_sheet, users=users, seed=seed, config=settings)
        show(written.record(), written.text, as_json=json)
    elif user is not None:
        card = explain_user(store, user, config=settings, answers=answers, pseudonyms=pseudonyms)
        if json:
            show(card.record(), "", as_json=True)
        elif markdown:
            show({}, to_markdown(card).rstrip("\n"), as_json=False)
        else:
            print_card(card)
