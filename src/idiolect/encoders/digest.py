"""Telling model folders apart without reading gigabytes."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

_SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".bin")
_RECORDS = {"pretrain.json", "settings.json", "fit.json", "report.json"}
"""What this library writes beside a model about how it was made: no part of the model."""
_PIECE = 4096
_PIECES = 256


def folder_digest(folder: Path) -> str:
    """12 hex digits over the files that make a model: names, sizes, and contents.

    Of a file above 1 MB evenly spread pieces are read: training moves nearly every weight, so other weights of the
    same shape differ there.
    """
    digest = blake2b(digest_size=6)
    for path in sorted(path for path in folder.rglob("*") if _is_part(path.relative_to(folder)) and path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}|{size}|".encode())
        _update(digest, path, size)
    return digest.hexdigest()


def _is_part(path: Path) -> bool:
    return path.suffix in _SUFFIXES and path.name not in _RECORDS and "checkpoints" not in path.parts


def _update(digest: blake2b, path: Path, size: int) -> None:
    step = max(_PIECE, size // _PIECES)
    with path.open("rb") as file:
        for start in range(0, size, step):
            file.seek(start)
            digest.update(file.read(_PIECE))
