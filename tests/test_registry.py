from __future__ import annotations

import pytest

from idiolect.errors import ConfigError
from idiolect.registry import Registry, suggest


def test_a_target_is_imported_when_it_is_asked_for() -> None:
    registry: Registry[type] = Registry("thing", {"fraction": "fractions:Fraction", "broken": "no.such.module:X"})
    assert "broken" in registry
    assert registry.get("fraction").__name__ == "Fraction"
    with pytest.raises(ModuleNotFoundError):
        registry.get("broken")


def test_objects_are_registered_as_they_are() -> None:
    registry: Registry[type] = Registry("thing", {})
    registry.register("int", int)
    assert registry.get("int") is int


def test_a_dotted_attribute_is_not_confused_with_a_module() -> None:
    registry: Registry[type] = Registry("thing", {"ordered": "collections:OrderedDict"})
    assert registry.get("ordered").__name__ == "OrderedDict"


def test_code_of_ones_own_is_named_by_its_path() -> None:
    registry: Registry[type] = Registry("thing", {})
    assert registry.get("fractions:Fraction").__name__ == "Fraction"
    for path in ("no.such.module:X", "fractions:Nothing"):
        with pytest.raises(ConfigError, match=f"cannot import the thing '{path}'"):
            registry.get(path)
    for no_path in ("C:\\models", "fractions:", ":Fraction", "a b:c", "hash:48"):
        with pytest.raises(ConfigError, match="unknown thing"):
            registry.get(no_path)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    registry: Registry[type] = Registry("encoder", {"minilm": "a:b", "fake": "a:c"})
    with pytest.raises(ConfigError, match="unknown encoder 'minilmm'") as caught:
        registry.get("minilmm")
    assert caught.value.hint == "did you mean 'minilm'?"


def test_a_taken_name_is_refused_and_its_target_kept() -> None:
    registry: Registry[type] = Registry("thing", {"int": "builtins:int"})
    with pytest.raises(ConfigError, match="'int' is already registered"):
        registry.register("int", float)
    assert registry.get("int") is int


def test_names_come_sorted_and_the_table_given_is_not_changed() -> None:
    table = {"b": "x:y", "a": "x:z"}
    registry: Registry[type] = Registry("thing", table)
    registry.register("c", int)
    assert list(registry) == ["a", "b", "c"]
    assert list(table) == ["b", "a"]


def test_a_name_like_no_other_is_answered_with_all() -> None:
    assert suggest("zzz", {"bm25", "dense"}) == "one of: bm25, dense"


def test_where_nothing_is_known_nothing_is_suggested() -> None:
    assert suggest("x", []) == ""
