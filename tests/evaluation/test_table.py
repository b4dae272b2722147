from __future__ import annotations

import sys

import pytest

from idiolect.errors import ConfigError, MissingDependencyError
from idiolect.metrics.base import Mean
from idiolect.metrics.registry import DEFAULT_METRICS, METRICS, load_metrics
from idiolect.registry import Registry


def test_metrics_come_in_the_order_asked_for_and_under_their_names() -> None:
    assert [metric.name for metric in load_metrics(["rougeL", "bleu", "rouge1"])] == ["rougeL", "bleu", "rouge1"]


def test_the_default_metrics_are_in_the_table() -> None:
    assert set(DEFAULT_METRICS) <= set(METRICS)


def test_an_unknown_metric_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'meteor'"):
        load_metrics(["metor"])


def test_a_missing_package_is_answered_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == "sacrebleu"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [_Hide("sacrebleu"), *sys.meta_path])
    with pytest.raises(MissingDependencyError, match=r"idiolect\[metrics\]"):
        load_metrics(["bleu"])


def test_a_metric_of_ones_own_is_loaded_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Registry("metric", {})
    own.register("length", lambda: Mean("length", greater_is_better=False))
    monkeypatch.setattr("idiolect.metrics.registry.METRICS", own)
    assert load_metrics(["length"])[0].name == "length"


class _Hide:
    """A finder that says a package is not installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
