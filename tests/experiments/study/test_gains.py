from __future__ import annotations

from dataclasses import asdict

import pytest

from idiolect.errors import ConfigError
from idiolect.experiments.study.figures import contrast_label, draw_gains
from idiolect.types import ConditionId

DEP, RAG, WRONG = ConditionId("dep"), ConditionId("rag"), ConditionId("dep", "wrong user")


def contrast(better, than, difference):
    return {
        "better": asdict(better),
        "than": asdict(than),
        "difference": difference,
        "low": difference - 1,
        "high": difference + 1,
    }


@pytest.mark.parametrize(
    ("better", "than", "label"),
    [
        (DEP, RAG, "dep over rag"),
        (DEP, WRONG, 'dep over control "wrong user"'),
        (DEP, ConditionId("dep without text", "his twice"), "dep over dep without text: his twice"),
    ],
)
def test_a_method_is_ahead_of_its_own_control_or_of_another_run(better, than, label):
    assert contrast_label(contrast(better, than, 1.0)) == label


def test_every_contrast_is_drawn_and_bytes_follow_from_them(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [contrast(DEP, RAG, 0.5), contrast(DEP, WRONG, 2.0)]
    first, again, fewer = (tmp_path / f"{name}.svg" for name in ("first", "again", "fewer"))
    draw_gains(rows, first)
    draw_gains(rows, again)
    draw_gains(rows[:1], fewer)
    assert first.read_bytes() == again.read_bytes()
    assert len(first.read_bytes()) > len(fewer.read_bytes())
    with pytest.raises(ConfigError, match=r"\.svg or \.png"):
        draw_gains(rows, tmp_path / "figure.bmp")
