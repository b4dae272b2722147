"""Backends by name: what a setting loads, and what is refused before anything is loaded."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from idiolect.errors import ConfigError, MissingDependencyError
from idiolect.llm.base import LLM
from idiolect.llm.config import BackboneConfig
from idiolect.llm.fake import FakeLLM
from idiolect.llm.table import BACKENDS, backend_of, load_llm


@pytest.mark.parametrize(
    ("settings", "backend"),
    [
        ({}, "transformers"),
        ({"model": "some/model"}, "transformers"),
        ({"model": "fake"}, "fake"),
        ({"model": "some/model", "backend": "fake"}, "fake"),
        ({"model": "fake", "backend": "transformers"}, "transformers"),
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
        "import sys\nfrom idiolect.llm.config import BackboneConfig\nfrom idiolect.llm.table import load_llm\n"
        "load_llm(BackboneConfig(model='fake'))\nassert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
