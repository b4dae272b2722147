"""METEOR as nltk computes it, with every choice that changes the score in its signature.

Synonyms come from nltk's data or a WordNet folder of the system; without either only words and stems match. nltk reads
WordNet only from its data folders, and needs files that Debian's ``wordnet-base`` leaves out; the reader here takes any
folder and supplies the one missing file.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
from nltk.corpus import wordnet as nltk_wordnet
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.data import PathPointer
from nltk.stem.porter import PorterStemmer
from nltk.tokenize import NLTKWordTokenizer
from nltk.translate.meteor_score import single_meteor_score

from idiolect.difference.stylometry.english import detect
from idiolect.errors import NotFoundError
from idiolect.metrics import scripts
from idiolect.metrics.base import AdditiveScore, Signature, check_pairs, column
from idiolect.words import kind_of, unicode_tokens

VARIABLE = "IDIOLECT_WORDNET"
"""Environment variable that names a folder with WordNet's ``data.*`` and ``index.*`` files."""
SYSTEM_FOLDER = Path("/usr/share/wordnet")
"""Where Debian-based systems install WordNet."""

_LEXICOGRAPHER_FILES = 45
_LOG = logging.getLogger(__name__)


class Synonyms(Protocol):
    """The part of WordNet that METEOR uses."""

    def synsets(self, word: str, /) -> Sequence[Any]:
        """The synonym sets with ``word``."""
        ...


class WordNet:
    """A source of synonyms with a cache.

    Args:
        source: The reader.
        label: The WordNet's version and origin, for signatures ("3.0-system"; "none").
    """

    def __init__(self, source: Synonyms, label: str) -> None:
        self.label = label
        self.synsets = lru_cache(maxsize=1 << 17)(source.synsets)


def find_wordnet(folder: Path | None = None) -> WordNet:
    """The WordNet of a named folder, else nltk's own, else the system's, else none.

    Args:
        folder: A folder with WordNet's files; None: the one that ``IDIOLECT_WORDNET`` names, else search.

    Raises:
        NotFoundError: The named folder has no WordNet.
    """
    named = folder or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is not None and not _has_wordnet(named):
        raise NotFoundError(f"no WordNet in {str(named)!r}", hint="the folder must hold data.noun, index.noun, ...")
    if named is not None:
        return _read_folder(named)
    if _nltk_has_wordnet():
        return WordNet(nltk_wordnet, f"{nltk_wordnet.get_version()}-nltk")
    if _has_wordnet(SYSTEM_FOLDER):
        return _read_folder(SYSTEM_FOLDER)
    _LOG.warning(
        "no WordNet found: METEOR matches words and stems only and is lower than with synonyms "
        "(nltk.download('wordnet'), apt install wordnet-base, or set %s)",
        VARIABLE,
    )
    return WordNet(_NoSynonyms(), "none")


class _NoSynonyms:
    def synsets(self, word: str) -> Sequence[Any]:
        return ()


NO_SYNONYMS = _NoSynonyms()
"""For languages other than WordNet's."""


class _Unused(PathPointer):
    """The root of a reader that opens its files itself; a path would have to be in nltk's data folders."""

    path = "WordNet"

    def open(self, encoding: str | None = None) -> NoReturn:
        raise NotImplementedError

    def file_size(self) -> NoReturn:
        raise NotImplementedError

    def join(self, fileid: str) -> NoReturn:
        raise NotImplementedError


class _FolderReader(WordNetCorpusReader):
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Any reader but None keeps nltk from warning that there are no other languages; it is never used.
        super().__init__(_Unused(), omw_reader=())

    def open(self, file: str) -> io.TextIOBase:
        """A stream over the file's bytes in memory, seekable by byte."""
        if file == "lexnames":  # not shipped by Debian; only its length matters for synonyms
            return io.StringIO("".join(f"{number:02d}\tunnamed\t0\n" for number in range(_LEXICOGRAPHER_FILES)))
        return io.TextIOWrapper(io.BytesIO((self._folder / file).read_bytes()), encoding="latin-1")

    def map_wn(self, version: str = "wordnet") -> None:
        """No map to other versions of WordNet: it needs a file that Debian does not ship."""


@lru_cache(maxsize=4)
def _read_folder(folder: Path) -> WordNet:
    reader = _FolderReader(folder)
    return WordNet(reader, f"{reader.get_version()}-system")


def _has_wordnet(folder: Path) -> bool:
    return all(
        (folder / f"{part}.{pos}").is_file() for part in ("data", "index") for pos in ("adj", "adv", "noun", "verb")
    )


def _nltk_has_wordnet() -> bool:
    try:
        nltk_wordnet.ensure_loaded()
    except LookupError:
        return False
    return True


ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5
"""Weight of precision, shape and weight of the fragmentation penalty (nltk's defaults, the papers' values)."""


class Meteor(AdditiveScore):
    """Mean METEOR (Lavie and Agarwal 2007) over samples, 0 to 1: words, then Porter stems, then WordNet synonyms.

    Tokens are from nltk's word tokenizer on the whole text, because its sentence splitter needs a download. Porter's
    stems and WordNet are English: if a reference is in another language or script, only equal words match
    (``words.unicode_tokens``).

    Args:
        wordnet: A folder with WordNet's files; None: see ``find_wordnet``.
    """

    name = "meteor"
    greater_is_better = True

    def __init__(self, wordnet: Path | None = None) -> None:
        self._tokenizer = NLTKWordTokenizer()
        self._stemmer = _CachedStemmer()
        self._synonyms = find_wordnet(wordnet)
        self._met: set[str] = set()

    def segments(self, predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """float64 (n, 1): METEOR of each pair; 0 if nothing matches, or without a token (see ``unscored``)."""
        check_pairs(predictions, references)
        english = is_english(references)
        self._met.update("latin" if one else "other" for one in english)
        return column([self._score(*one) for one in zip(predictions, references, english, strict=True)])

    def unscored(self, references: Sequence[str]) -> np.ndarray:
        """Bool (n,): references without a token, for which a score is meaningless."""
        return scripts.blank(references)

    def signature(self) -> Signature:
        """Tokenizer, stemmer, WordNet (``none``: words and stems only), parameters and version.

        If samples so far were matched by words only, both ways are named.
        """
        ways = (("NLTKWordTokenizer", "unicode"), ("porter", "none"), (self._synonyms.label, "none"))
        said = [scripts.label(usual, other, self._met) for usual, other in ways]
        matching = tuple(zip(("tok", "stem", "wordnet"), said, strict=True))
        weights = (("alpha", str(ALPHA)), ("beta", str(BETA)), ("gamma", str(GAMMA)))
        return Signature((("metric", "meteor"), *matching, *weights, ("aggregate", "mean"), ("nltk", version("nltk"))))

    def _score(self, prediction: str, reference: str, english: bool) -> float:
        tokenize = self._tokenizer.tokenize if english else unicode_tokens
        stemmer: Any = self._stemmer if english else _AsItIs()
        # nltk's annotation wants its reader; only ``synsets`` is called
        wordnet: Any = self._synonyms if english else NO_SYNONYMS
        return single_meteor_score(
            tokenize(reference),
            tokenize(prediction),
            stemmer=stemmer,
            wordnet=wordnet,
            alpha=ALPHA,
            beta=BETA,
            gamma=GAMMA,
        )


def is_english(references: Sequence[str]) -> list[bool]:
    """Which references are matched as English: those in Latin script without signs of another language."""
    detected = detect(references).tolist()
    return [kind_of(text) == "latin" and one >= 0 for text, one in zip(references, detected, strict=True)]


class _AsItIs:
    """No stemmer."""

    def stem(self, word: str) -> str:
        return word


class _CachedStemmer(PorterStemmer):
    """Porter's stemmer with a cache."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = lru_cache(maxsize=1 << 17)(super().stem)
