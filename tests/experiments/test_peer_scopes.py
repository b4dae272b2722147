from __future__ import annotations

from idiolect.evaluation.usage import count_peer_scopes, sentences
from idiolect.types import ConditionId

DEP = ConditionId("dep")


def test_peer_scopes_are_counted_by_condition_and_in_order():
    runs = {
        ConditionId("rag"): [{"peer_scopes": {}}, {"peer_scopes": {}}],
        DEP: [{"peer_scopes": {"none": 1, "item": 2}}, {"peer_scopes": {"category": 1}}],
        ConditionId("dep", "no text"): [{"text": None}],
    }
    found = count_peer_scopes(runs)
    assert found == {DEP: {"item": 2, "category": 1, "none": 1}}
    assert list(found[DEP]) == ["item", "category", "none"]
    assert sentences(found) == [
        "dep: past reviews compared with others on the same item 2 (50%), others on items of its category 1 (25%), "
        "no users 1 (25%)"
    ]
