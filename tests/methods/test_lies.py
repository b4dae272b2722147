"""An extractor behind an endpoint that mixes truth with falsehood: what the checks make of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.world import World

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "bench_validation.py"


@pytest.fixture(scope="module")
def kinds() -> Any:
    pytest.importorskip("openai", reason="the extra 'openai' is not installed")
    if not BENCHMARK.is_file():
        pytest.skip("benchmarks/bench_validation.py is not beside the tests")
    spec = importlib.util.spec_from_file_location("bench_validation", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    liar = bench.Liar(seed=1)
    _, checked = bench.lied(liar, bench.compared(World(WorldConfig(seed=61, n_users=30, n_items=30)), 12))
    fates = bench.fates(liar.told, [feature for own in checked for feature in own])
    return bench.shares(fates), {kind: [status for _, status in own] for kind, own in fates.items()}


def test_checkable_falsehoods_are_dropped_and_true_claims_are_not(kinds):
    (dropped, stay), _ = kinds
    assert dropped >= 0.95
    assert stay >= 0.9


@pytest.mark.parametrize("kind", ["invented", "near miss", "peer", "content", "broken", "thinking"])
def test_nothing_of_these_kinds_comes_through(kind, kinds):
    _, statuses = kinds
    assert len(statuses[kind]) >= 5
    assert set(statuses[kind]) == {"dropped"}


def test_what_nobody_can_check_is_never_kept_as_if_it_were(kinds):
    _, statuses = kinds
    assert "kept" not in statuses["beyond"]
    assert "unconfirmed" in statuses["beyond"]
