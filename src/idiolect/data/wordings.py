"""What the inputs of LaMP and LongLaMP ask for: the text that is to be written about, without the instruction.

Sources: the inputs of both sets as they are distributed (LaMP, arXiv 2304.11406; LongLaMP, arXiv 2407.11016), and the
programs that LaMP's authors give out to make its e-mail task. LongLaMP's e-mail task is not public, so its wording is
not here: an input of another wording is kept whole.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class About(NamedTuple):
    """What a text was written about."""

    title: str = ""
    description: str = ""


class ParsedInput(NamedTuple):
    """What an input asks for."""

    about: About
    title: str = ""
    """Of the review that is to be written, where the input gives it."""
    rating: str = ""
    """The same for its rating."""


_LAMP = (
    # LaMP 2, of movies and (in its first version) of news; then LaMP 4 to 7
    r"Which tag does this movie relate to among the following tags\? Just answer with the tag name without further "
    r"explanation\. tags: \[[^\]]*\] description:(?P<description>.*)",
    r"Which category does this article relate to among the following categories\? Just answer with the category name "
    r"without further explanation\. categories: \[[^\]]*\] article:(?P<description>.*)",
    r"Generate a headline for the following article:(?P<description>.*)",
    r"Generate a title for the following abstract of a paper:(?P<description>.*)",
    r"Generate a subject for the following email:(?P<description>.*)",
    r"Paraphrase the following tweet without any explanation before or after it:(?P<description>.*)",
)
_LONGLAMP = (
    # Abstracts (the items are phrases of the abstract that is to be written), reviews, posts
    r'Generate an abstract for the title "(?P<title>.*?)"(?:\s+using the following items:.*|\.?)',
    r'Generate the review text written by a reviewer who has (?:a )?given an overall rating of "?(?P<rating>[^"]*?)"? '
    r'for a product with description "(?P<description>.*?)"\. '
    r'The summary of the review text is "(?P<summary>.*?)"\.?',
    r"Generate the content for a reddit post\b(?P<description>.*)",
)
_WORDINGS = tuple(re.compile(pattern, re.DOTALL | re.IGNORECASE) for pattern in (*_LAMP, *_LONGLAMP))
_LONG = _WORDINGS[len(_LAMP) :]


def is_longlamp(text: str) -> bool:
    """Whether an input has a wording of LongLaMP."""
    return any(wording.fullmatch(text.strip()) for wording in _LONG)


def parse_input(text: str) -> ParsedInput:
    """What an input asks for; the whole input is what is to be written about if its wording is not known.

    Example:
        >>> parse_input("Generate a title for the following abstract of a paper: We show this.").about
        About(title='', description='We show this.')
        >>> parse_input('Generate an abstract for the title "Tea" using the following items: 1. cups').about
        About(title='Tea', description='')
        >>> parse_input("Write it").about.description
        'Write it'
    """
    text = text.strip()
    for wording in _WORDINGS:
        if match := wording.fullmatch(text):
            said = {name: found.strip() for name, found in match.groupdict().items()}
            about = About(said.get("title", ""), said.get("description", ""))
            return ParsedInput(about, said.get("summary", ""), said.get("rating", ""))
    return ParsedInput(About(description=text))
