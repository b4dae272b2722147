"""A validator model's verdicts, as lines or as JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.claims.feature import Feature
from idiolect.difference.claims.validate import Verdict, apply_verdicts, parse_verdicts

LINES = "1. keep\n2. drop: not comparative\n3. keep, it is clear\n"
MARKED = "**1.** **Keep** - fine\nClaim 2: Drop (content)\n3) [Tone] KEEP\n9. drop\n"


@pytest.mark.parametrize("text", [LINES, MARKED, f"Verdicts:\n\n{LINES}", LINES.replace("\n", "\n\n")])
def test_lines_are_read(text: str):
    assert [(v.feature, v.keep) for v in parse_verdicts(text, 3)] == [(0, True), (1, False), (2, True)]


def test_json_is_read_even_where_it_breaks_off():
    rows = [{"claim": k, "keep": k != 2, "reason": "r"} for k in (1, 2, 3)]
    text = json.dumps({"verdicts": rows})
    assert parse_verdicts(text, 3) == [Verdict(0, True, "r"), Verdict(1, False, "r"), Verdict(2, True, "r")]
    assert len(parse_verdicts(text[:-8], 3)) == 2


def test_a_drop_is_applied_with_its_reason_and_silence_is_no_objection():
    features = [Feature(name="a"), Feature(name="b"), Feature(name="c", status="dropped", reason="unclear")]
    judged = apply_verdicts(features, [Verdict(0, False, "content, not style"), Verdict(2, False, "whatever")])
    assert [one.reason for one in judged] == ["content_bias", None, "unclear"]
    assert judged[0].detail == "content, not style"
    assert apply_verdicts(features, [Verdict(1, False, "hm")])[1].reason == "rejected"


@settings(deadline=None, max_examples=40)
@given(
    st.text()
    | st.lists(st.sampled_from(["1. keep", "2 drop", '{"claim": 1,', '"keep": true}', "\n", "{", "}"])).map("".join)
)
def test_no_answer_makes_the_parser_raise(text: str):
    assert all(0 <= verdict.feature < 2 for verdict in parse_verdicts(text, 2))


READABLE = [
    "{'verdicts': [{'claim': 1, 'keep': True, 'reason': 'it\\'s fine'}, {'claim': 2, 'keep': False},]}",
    '{"claim": 1, "keep": true, "reason": "line\nbreak"}\n{"claim": 2, "keep": false, "reason": ""}',
    '[{"claim": "1", "keep": "yes"}, {"claim": "Claim 2", "verdict": "drop"}]',
    '```json\n{"1": "keep", "2": "drop"}\n```',
]


@pytest.mark.parametrize("text", READABLE)
def test_json_is_read_however_it_is_written(text: str):
    assert [(one.feature, one.keep) for one in parse_verdicts(text, 2)] == [(0, True), (1, False)]


@pytest.mark.parametrize(("text", "keep"), [("Keep all.", True), ("All claims are valid.", True), ("DROP ALL", False)])
def test_one_verdict_may_be_on_all(text: str, keep: bool):
    assert parse_verdicts(text, 2) == [Verdict(0, keep, ""), Verdict(1, keep, "")]


@pytest.mark.parametrize("text", ["", "Certainly!", '{"verdicts": []}', "All of this is hard to say.", "7. keep"])
def test_an_answer_without_a_verdict_is_none(text: str):
    assert parse_verdicts(text, 2) == []
