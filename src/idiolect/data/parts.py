"""Resolve a location: one file, the files of a folder or pattern, standard input, or a data set of the hub."""

from __future__ import annotations

import glob
import os
import re
import sys
import tarfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from tarfile import ReadError
from typing import IO, Any, Protocol, Self, cast

from idiolect.data import hub
from idiolect.data.containers import ROWS, Container, detect_container, suffix_container
from idiolect.data.files import STDIN_NAME, is_stream, is_tar, open_stream, open_tar, printable, readable, shown, spool
from idiolect.data.records import Row
from idiolect.data.rejects import REJECTS_SUFFIX
from idiolect.errors import InputError

STDIN = "-"

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/{1,2}(?=[^/])")
"""Of something on the network; ``Path`` takes one of the slashes away."""
_BOOKKEEPING = {"dataset_info.json", "dataset_dict.json", "dataset_infos.json", "state.json"}
"""What Hugging Face writes next to a saved data set."""


class Part(Protocol):
    """Something that holds rows."""

    @property
    def name(self) -> str:
        """What the list of rejects calls it."""
        ...

    @property
    def path_parts(self) -> tuple[str, ...]:
        """The names that lead to it, outermost first: folders and file, or data set, configuration and split."""
        ...

    @property
    def path(self) -> Path | None:
        """The file, if it is one."""
        ...

    def container(self) -> Container | None:
        """How it holds its rows; None if that is no matter of bytes."""
        ...

    def rows(self, container: Container | None) -> Iterator[Row]:
        """Its rows, read anew by each call."""
        ...


@dataclass(frozen=True, slots=True, weakref_slot=True)
class FilePart:
    """A file."""

    path: Path
    name: str

    @property
    def path_parts(self) -> tuple[str, ...]:
        """See ``Part``."""
        return Path(self.name).parts

    def container(self) -> Container:
        """See ``Part``."""
        return detect_container(self.path)

    def rows(self, container: Container | None) -> Iterator[Row]:
        """See ``Part``."""
        return ROWS[container or self.container()](self.path)


@dataclass(frozen=True, slots=True)
class Parts:
    """All of a location."""

    parts: tuple[Part, ...]
    """Sorted by name, for ``order`` counts through them."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Files of a folder, pattern or archive that are not read, and why."""


def find_parts(where: Path | str | Parts) -> Parts:
    """The parts of ``where``: ``-``, ``hf://owner/name[/config[/split]]``, a file, folder, tar archive or pattern.

    Input that can be read once (standard input, a pipe, a device) is kept in a temporary file.

    Raises:
        InputError: There is nothing, or nothing of a known kind.
    """
    if isinstance(where, Parts):
        return where
    text = str(where)
    if text == STDIN:
        return _opened(_spooled(_standard_input, STDIN_NAME))
    if hub.is_hub(text):
        return Parts(tuple(hub.find_parts(text)))
    if _ADDRESS.match(text):
        raise InputError(f"{text!r} is an address, not a file", hint="download it, and name the file or folder")
    path = Path(where)
    if path.is_dir():
        return _several(path, sorted(_walk(path)))
    if not path.exists() and glob.has_magic(text):
        return _several(path, sorted(map(Path, glob.iglob(text, recursive=True))))
    if is_stream(path):
        return _opened(_spooled(lambda: open_stream(path), text))
    return _opened(FilePart(path, text))


def default_rejects(where: Path | str) -> Path:
    """The default path of the rejects: next to the input, never in it."""
    text = str(where)
    if text == STDIN or hub.is_hub(text):
        stem = "stdin" if text == STDIN else text.removeprefix(hub.SCHEME).strip("/").replace("/", ".")
        return Path(stem + REJECTS_SUFFIX)
    path = Path(where)
    if path.parts[:2] in _NOT_FOLDERS:  # /dev/fd/63, as a shell calls a pipe
        return Path(("stdin" if path.name in ("stdin", "0") else "pipe") + REJECTS_SUFFIX)
    if not path.exists() and glob.has_magic(text):
        path = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
    return path.parent / ((path.name or path.resolve().name) + REJECTS_SUFFIX)


def _several(where: Path, found: list[Path]) -> Parts:
    files = [path for path in found if not _is_ours(path, where)]
    plain = [path for path in files if path.is_file()]
    known = [path for path in plain if suffix_container(path) and not _is_answers(path, plain)]
    if not known:
        raise InputError(f"{str(where)!r} holds no file that can be read", hint=_NEEDED)
    answers = {path for path in plain if _is_answers(path, plain)}
    skipped = {str(path): _why_not(path) for path in files if path not in {*known, *answers} and not _is_folder(path)}
    return Parts(tuple(FilePart(path, str(path)) for path in known), skipped)


_NEEDED = "it needs .jsonl, .json, .csv, .tsv, .parquet, .arrow, or .gz, .zst of them"
_NOT_FOLDERS = {("/", "dev"), ("/", "proc")}
"""Where no list of rejects can be written."""


def _walk(folder: Path) -> Iterator[Path]:
    """Everything in ``folder`` and below but folders; links to folders come as such and are not followed.

    Raises:
        OSError: A folder cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    for at, folders, names in os.walk(folder, onerror=fail):
        yield from (Path(at, name) for name in names)
        yield from (Path(at, name) for name in folders if Path(at, name).is_symlink())


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _why_not(path: Path) -> str:
    if path.is_file():
        return "of another kind"
    if path.is_symlink():
        return "a link to a folder" if path.is_dir() else "a link that leads nowhere"
    return "a pipe or device"


def _is_ours(path: Path, where: Path) -> bool:
    """Hidden files, lists of rejects, and what Hugging Face keeps next to its tables."""
    inner = path.relative_to(where) if path.is_relative_to(where) else Path(path.name)
    hidden = any(part.startswith(".") and part != ".." for part in inner.parts)
    return hidden or path.name.endswith(REJECTS_SUFFIX) or path.name in _BOOKKEEPING


def answers_of(path: Path) -> Path:
    """Where LaMP keeps the answers to the questions in ``path``."""
    return path.with_name(path.name.replace("questions", "outputs"))


def _is_answers(path: Path, files: list[Path]) -> bool:
    questions = path.with_name(path.name.replace("outputs", "questions"))
    return questions != path and questions in files


def _standard_input() -> AbstractContextManager[IO[bytes]]:
    if sys.stdin is None:
        raise InputError("standard input is closed", hint="pipe something into it, or name a file")
    return nullcontext(sys.stdin.buffer)


def _spooled(open_input: Callable[[], AbstractContextManager[IO[bytes]]], name: str) -> FilePart:
    """Input that can be read once, kept on disk as long as the part is used.

    Columns are looked for before rows are read, and rows may be read twice.
    """
    path, drop = spool(open_input, name)
    part = FilePart(path, name)
    weakref.finalize(part, drop)
    return part


def _opened(part: FilePart) -> Parts:
    """The part, or its members if it is a tar archive."""
    if not part.path.exists() or not is_tar(part.path):
        return Parts((part,))
    found: dict[str, FilePart] = {}
    skipped: dict[str, str] = {}
    with readable(part.path), open_tar(part.path) as file:
        for member, data in _members(file):
            name = f"{part.name}/{printable(member.name)}"
            if data is None or not suffix_container(Path(member.name)):
                skipped[name] = "of another kind"
            else:
                found[name] = _spooled(lambda data=data: data, name)
            if len(found) > _MAX_MEMBERS or len(skipped) > _MAX_SKIPPED:
                raise InputError(f"{shown(part.path)} holds more than {_MAX_MEMBERS} files", hint=_UNTAR)
        while file.read(2**20):  # the padding, behind which a packed archive proves whole
            pass
    if not found:
        raise InputError(f"{shown(part.path)} is a tar archive without a file that can be read", hint=_NEEDED)
    return Parts(tuple(found[name] for name in sorted(found)), skipped)


def _members(file: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """The files of a tar archive as they stream by, with their bytes where they are plain ones.

    Nothing is extracted under its own name, so that a name may be absolute or lead upwards.
    """
    try:
        with tarfile.open(fileobj=file, mode="r|", tarinfo=_Member) as archive:
            while (member := archive.next()) is not None:
                cast(Any, archive).members = []  # else it keeps every header
                if member.size < 0:
                    raise ReadError("negative size")
                if not member.isdir() and not _is_ours(Path(member.name), Path()):
                    plain = member.isreg() and not member.issparse()
                    yield member, archive.extractfile(member) if plain else None
    except (ValueError, OverflowError, RecursionError) as error:
        raise ReadError("bad header") from error


_MAX_MEMBERS = 256
"""Files of an archive at most: each is kept open."""
_UNTAR = "unpack it (tar -xf) and name the folder"
_MAX_SKIPPED = 10_000
_MAX_TAR_NAME = 2**20
"""Most bytes of a header with a long name."""


class _Member(tarfile.TarInfo):
    """A header of a tar archive: not one that fills the memory, and a damaged one is not taken for the end."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """See ``tarfile.TarInfo``."""
        try:
            return super().fromtarfile(tarfile)
        except _NO_END as error:
            raise ReadError(str(error)) from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """See ``tarfile.TarInfo``."""
        member = super().frombuf(buf, encoding, errors)
        if member.type not in _DATA and member.size > _MAX_TAR_NAME:
            raise ReadError("a name of more than a megabyte")
        return member


_NO_END: tuple[type[Exception], ...] = tuple(
    getattr(tarfile, name) for name in ("InvalidHeaderError", "TruncatedHeaderError", "EmptyHeaderError")
)
_DATA = {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE}
"""Kinds of members whose content is not taken into memory with the header."""
