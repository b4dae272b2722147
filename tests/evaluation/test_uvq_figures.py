from __future__ import annotations

import sys

import pytest

from idiolect.errors import ConfigError, InputError, MissingDependencyError
from idiolect.evaluation.significance import Interval
from idiolect.evaluation.uvq import Unit, uvq
from idiolect.evaluation.uvq_report import System, draw_categories, draw_scatter

CELL = [
    Unit(category="Writing", path="writing/exclamations/more"),
    Unit(category="Emotion", path="emotion/tone/negative/more"),
]
RESULTS = {"drp $x$": uvq([[CELL, CELL]]), "dpl": uvq([[CELL[:1]]]), "empty": uvq([[[]]])}
POINTS = [System("7B", 2.0, 6.0), System("14B", 3.0, 6.3), System("", 2.5, 6.1)]
FOUND = Interval(0.9, 0.4, 1.0)


@pytest.mark.parametrize("ending", ["svg", "png"])
@pytest.mark.parametrize(
    "draw", [lambda path: draw_categories(RESULTS, path), lambda path: draw_scatter(POINTS, FOUND, path)]
)
def test_the_same_results_give_the_same_bytes(draw, ending, tmp_path):
    pytest.importorskip("matplotlib")
    first, again = tmp_path / f"first.{ending}", tmp_path / "folder" / f"again.{ending}"
    draw(first)
    draw(again)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes().startswith(b"\x89PNG" if ending == "png" else b"<?xml")


def test_systems_without_spread_are_drawn_without_a_line(tmp_path):
    pytest.importorskip("matplotlib")
    draw_scatter([System("a", 1.0, 2.0), System("b", 1.0, 3.0)], FOUND, tmp_path / "f.svg")


def test_what_cannot_be_drawn_is_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no system"):
        draw_categories({}, tmp_path / "f.svg")
    with pytest.raises(InputError, match="1 points"):
        draw_scatter(POINTS[:1], FOUND, tmp_path / "f.svg")
    with pytest.raises(ConfigError, match=r"f\.jpg"):
        draw_scatter(POINTS, FOUND, tmp_path / "f.jpg")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match="plots"):
        draw_scatter(POINTS, FOUND, tmp_path / "f.svg")
    assert not list(tmp_path.iterdir())
