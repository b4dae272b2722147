"""Backends by name: what a setting loads, and what is refused before anything is loaded."""

from __future__ import annotations

import importlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from idiolect.errors import ArtifactError, ConfigError, MissingDependencyError
from idiolect.llm.base import LLM, SamplingParams
from idiolect.llm.cache import CachedLLM
from idiolect.llm.fake import FakeLLM
from idiolect.llm.loading import open_llm
from idiolect.llm.registry import BACKENDS, BackboneConfig, backend_of, load_llm
from idiolect.types import Prompt


@pytest.mark.parametrize(
    ("settings", "backend"),
    [
        ({}, "transformers"),
        ({"model": "some/model"}, "transformers"),
        ({"model": "fake"}, "fake"),
        ({"model": "some/model", "backend": "fake"}, "fake"),
        ({"model": "fake", "backend": "transformers"}, "transformers"),
        ({"endpoint": {"model": "m"}}, "openai"),
        ({"endpoint": {"model": "m"}, "backend": "openai"}, "openai"),
    ],
)
def test_the_model_tells_its_backend_unless_the_settings_do(settings: dict, backend: str) -> None:
    assert backend_of(BackboneConfig(**settings)) == backend


def test_a_model_called_fake_is_the_fake() -> None:
    assert isinstance(load_llm(BackboneConfig(model="fake")), FakeLLM)


def test_the_shipped_model_is_run_by_transformers() -> None:
    llm = load_llm(BackboneConfig(device="cpu", batch_size=3), progress=False)
    assert type(llm).__name__ == "TransformersLLM"
    assert llm.name.startswith("sandbox@")


def test_an_unknown_backend_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"unknown backend 'transformer' .*did you mean 'transformers'\?"):
        load_llm(BackboneConfig(backend="transformer"))


def test_a_backend_of_ones_own_is_loaded_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(FakeLLM):
        @classmethod
        def load(cls, config: BackboneConfig, *, progress: bool = False) -> LLM:
            return cls(lambda _: f"{config.model} {progress}")

    monkeypatch.setattr(BACKENDS, "_targets", dict(BACKENDS._targets))
    BACKENDS.register("own", Own)
    assert isinstance(load_llm(BackboneConfig(model="m", backend="own")), Own)


def test_an_endpoint_is_asked_through_the_official_client() -> None:
    pytest.importorskip("openai")
    with open_llm(BackboneConfig.model_validate({"endpoint": {"model": "m", "revision": "r"}}), progress=True) as llm:
        assert type(llm).__name__ == "OpenAILLM"
        assert (llm.name, llm.supports) == ("m@r", {"schema", "seed"})


def test_what_was_opened_is_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Own(FakeLLM):
        closed = 0

        @classmethod
        def load(cls, config: BackboneConfig, *, progress: bool = False) -> LLM:
            return cls()

        def __enter__(self) -> Own:
            return self

        def __exit__(self, *_: object) -> None:
            self.closed += 1

    monkeypatch.setattr(BACKENDS, "_targets", dict(BACKENDS._targets))
    BACKENDS.register("own", Own)
    with open_llm(BackboneConfig(model="m", backend="own"), cache=tmp_path / "a.db") as llm:
        assert isinstance(llm, CachedLLM)
        own = llm.llm
    assert isinstance(own, Own)
    assert own.closed == 1
    with pytest.raises(sqlite3.ProgrammingError):
        len(llm.cache)


def test_behind_a_record_nothing_is_asked_twice(tmp_path: Path, ask: Callable[..., Prompt]) -> None:
    for cached in (False, True):
        with open_llm(BackboneConfig(model="fake"), cache=tmp_path / "new" / "answers.db") as llm:
            (found,) = llm.generate([ask("hello")], SamplingParams())
        assert (found.text, found.cached) == ("hello", cached)


def test_a_file_that_is_no_record_is_refused_before_any_model_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database at all, but long enough to be taken for one " * 20)
    with (
        pytest.raises(ArtifactError, match="cannot be opened as a cache"),
        open_llm(BackboneConfig(model=str(tmp_path / "nowhere")), cache=path),
    ):
        pass


def test_a_backend_without_its_packages_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.import_module

    def without_torch(name: str) -> object:
        if name == "torch":
            raise ModuleNotFoundError("no torch", name="torch")
        return found(name)

    monkeypatch.setattr("idiolect.errors.importlib.import_module", without_torch)
    with pytest.raises(MissingDependencyError, match=r"idiolect\[train\]"):
        load_llm(BackboneConfig())
    assert isinstance(load_llm(BackboneConfig(model="fake")), FakeLLM)


def test_the_fake_comes_without_torch() -> None:
    script = (
        "import sys\nfrom idiolect.llm.registry import BackboneConfig\nfrom idiolect.llm.registry import load_llm\n"
        "load_llm(BackboneConfig(model='fake'))\nassert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
