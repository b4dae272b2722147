"""Where METEOR's synonyms come from: nltk's own data, a WordNet folder of the system, or nowhere.

nltk reads WordNet only out of its data folders and wants files that Debian's ``wordnet-base`` leaves out. The reader
here takes a folder as it is: it overrides how files are opened and supplies the one missing file it needs.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn, Protocol

from nltk.corpus import wordnet as nltk_wordnet
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.data import PathPointer

from idiolect.errors import NotFoundError

VARIABLE = "IDIOLECT_WORDNET"
"""Environment variable that names a folder with WordNet's ``data.*`` and ``index.*`` files."""
SYSTEM_FOLDER = Path("/usr/share/wordnet")
"""Where Debian and its kin install it."""

_LEXICOGRAPHER_FILES = 45
_LOG = logging.getLogger(__name__)


class Synonyms(Protocol):
    """What METEOR asks of WordNet."""

    def synsets(self, word: str, /) -> Sequence[Any]:
        """The synonym sets that hold ``word``."""
        ...


class WordNet:
    """A source of synonyms that looks each word up once.

    Args:
        source: The reader asked.
        label: Which WordNet it is, for signatures ("3.0-system"; "none").
    """

    def __init__(self, source: Synonyms, label: str) -> None:
        self.label = label
        self.synsets = lru_cache(maxsize=1 << 17)(source.synsets)


def find_wordnet(folder: Path | None = None) -> WordNet:
    """The WordNet of a named folder, else nltk's own, else the system's, else none.

    Args:
        folder: A folder with WordNet's files; None: what ``IDIOLECT_WORDNET`` names, else search.

    Raises:
        NotFoundError: A folder was named and has no WordNet in it.
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
"""For words of languages that WordNet does not know."""


class _Unused(PathPointer):
    """A root for a reader that opens its files itself; a path as root would have to lie in nltk's data folders."""

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
        # Any reader but None keeps nltk from warning that there are no other languages; it is never asked.
        super().__init__(_Unused(), omw_reader=())

    def open(self, file: str) -> io.TextIOBase:
        """A stream over the file's bytes in memory: seekable by byte, and no handle to leak."""
        if file == "lexnames":  # not shipped by Debian; only its length is used in looking synonyms up
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
