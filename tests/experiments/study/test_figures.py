from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idiolect.errors import ConfigError, MissingDependencyError
from idiolect.experiments.study.figures import LOOKS, draw_curves, draw_traits, probe_panels, spread


def test_panels_show_every_curve_and_the_gain_below_it(results):
    panels = probe_panels(results)
    assert len(panels) == 2 * len(results.curves)
    above, below = panels[:4], panels[4:]
    assert [panel.ticks for panel in above] == [("1", "8"), ("1", "4", "all"), ("0", "1"), ("0.5", "2")]
    for curve, scores, gaps in zip(results.curves.values(), above, below, strict=True):
        assert [line.look for line in scores.lines] == [LOOKS[k] for k in ("e_his", "e_diff", "both", "shuffled")]
        assert scores.lines[1].points == tuple(point.scores["e_diff"] for point in curve)
        assert gaps.lines[0].points == tuple(point.gaps["e_diff - e_his"] for point in curve)


def test_curves_that_were_not_asked_for_are_left_out(results):
    only = replace(results, curves={**results.curves, "noise": [], "confounding": []})
    assert [panel.ticks for panel in probe_panels(only)] == 2 * [("1", "8"), ("1", "4", "all")]


@pytest.mark.parametrize(("draw", "ending"), [(draw_curves, "svg"), (draw_traits, "png")])
def test_the_same_results_give_the_same_bytes(results, tmp_path, draw, ending):
    pytest.importorskip("matplotlib")
    first, again = tmp_path / f"first.{ending}", tmp_path / "folder" / f"again.{ending}"
    draw(results, first)
    draw(results, again)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes().startswith(b"\x89PNG" if ending == "png" else b"<?xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"first.{ending}", "folder"]


def test_settings_of_matplotlib_are_left_as_they_were(results, tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    draw_traits(results, tmp_path / "figure.svg")
    before = (tmp_path / "figure.svg").read_bytes()
    with matplotlib.rc_context({"font.size": 33}):
        draw_traits(results, tmp_path / "figure.svg")
        assert matplotlib.rcParams["font.size"] == 33
    assert (tmp_path / "figure.svg").read_bytes() == before


def test_an_unknown_ending_and_an_unknown_point_are_refused(results, tmp_path):
    with pytest.raises(ConfigError, match=r"\.svg or \.png"):
        draw_curves(results, tmp_path / "figure.bmp")
    with pytest.raises(ConfigError, match="no probes at 3 anchors"):
        draw_traits(results, tmp_path / "figure.svg", anchors=3)


def test_without_matplotlib_the_extra_is_named(results, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"idiolect\[plots\]"):
        draw_curves(results, tmp_path / "figure.svg")


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=8), st.floats(0.01, 0.5))
def test_labels_keep_their_order_and_distance_and_move_no_more_than_they_must(wanted, least):
    wanted = np.array(wanted)
    placed = spread(wanted, least=least)
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(placed[order]) >= least - 1e-9).all()
    assert placed.mean() == pytest.approx(wanted.mean())
    if (np.diff(wanted[order]) > least).all():
        np.testing.assert_allclose(placed, wanted, atol=1e-9)
