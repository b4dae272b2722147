from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import ClassVar, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from idiolect.config import (
    ANY_VALUE,
    Config,
    Retired,
    build,
    load,
    merge,
    parse_json,
    read_json,
    read_yaml,
    recipes,
    upgraded,
)
from idiolect.errors import ConfigError


class Inner(Config):
    top_p: float = 0.95
    """Nucleus."""
    seed: int = 0


class Outer(Config):
    name: str = "x"
    sampling: Inner = Inner()
    fallback: Inner | None = None
    steps: tuple[Inner, ...] = ()
    rates: Mapping[str, float] = Field(default_factory=dict)
    named: Mapping[str, Inner] = Field(default_factory=dict)


TREES = st.recursive(
    st.integers(), lambda below: st.dictionaries(st.sampled_from("abc"), below, max_size=3), max_leaves=8
)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        ({"nmae": "y"}, "'nmae'", "did you mean 'name'?"),
        ({"sampling": {"topp": 1}}, "'sampling.topp'", "did you mean 'top_p'?"),
        ({"fallback": {"sed": 1}}, "'fallback.sed'", "did you mean 'seed'?"),
        ({"steps": [{}, {"sed": 1}]}, "'steps.1.sed'", "did you mean 'seed'?"),
        ({"zzzz": 1}, "'zzzz'", "one of: fallback, name, named, rates, sampling, steps"),
        ({"named": {"first": {"sed": 1}}}, "'named.first.sed'", "did you mean 'seed'?"),
    ],
)
def test_an_unknown_setting_is_answered_with_the_nearest_of_its_level(data: dict, message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build(Outer, data)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("data", "name", "value"),
    [
        ({"sampling": {"seed": "soon"}}, "sampling.seed", "'soon'"),
        ({"sampling": 3}, "sampling", "3"),
        ({"rates": {"a": []}}, "rates.a", r"\[\]"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_and_shown(data: dict, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"recipe: {name}: .*\(got {value}\)"):
        build(Outer, data, where="recipe")


class Ranged(Config):
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        return self


def test_settings_at_odds_are_reported_in_their_own_words() -> None:
    with pytest.raises(ConfigError, match=r"^recipe: low \(2\) must be below high \(1\)"):
        build(Ranged, {"low": 2}, where="recipe")


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Inner().seed = 3


def test_the_docstring_under_a_field_is_its_description() -> None:
    assert Inner.model_fields["top_p"].description == "Nucleus."


class Now(Config):
    """What is left of settings that an earlier version had."""

    k: int = 8
    inner: Inner = Inner()

    retired: ClassVar = {
        "rate": 0.5,
        "stops": ("a", "b"),
        "checks": {"words": 80, "quote": False},
        "before": Retired(False, "set k"),
        "flag": ANY_VALUE,
    }


class Within(Config):
    now: Now | None = None


@pytest.mark.parametrize(
    "old",
    [
        {"rate": 0.5},
        {"stops": ["a", "b"]},
        {"checks": {"words": 80}},
        {"checks": {"words": 80, "quote": False}},
        {"before": False},
        {"flag": "anything"},
    ],
)
def test_a_setting_that_is_a_constant_now_may_still_be_named_with_its_value(old: dict) -> None:
    assert build(Within, {"now": {"k": 3, **old}}) == Within(now=Now(k=3))
    assert upgraded(Within, {"now": old}) == {"now": {"k": 8, "inner": {"top_p": 0.95, "seed": 0}}}


@pytest.mark.parametrize(
    ("old", "message", "hint"),
    [
        ({"rate": 0.6}, "file.yaml: now.rate is no longer a setting: it is always 0.5 (got 0.6)", "leave it out"),
        ({"stops": ["a"]}, 'it is always ["a", "b"]', "leave it out"),
        ({"checks": {"words": 9}}, 'always {"words": 80, "quote": false}', "leave it out"),
        ({"checks": {"else": 1}}, "now.checks is no longer a setting", "leave it out"),
        ({"before": True}, "it is always false (got True)", "set k"),
    ],
)
def test_another_value_is_refused_in_one_line_that_names_the_constant(old: dict, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(Within, {"now": old}, where="file.yaml")
    assert message in caught.value.message
    assert caught.value.hint == hint


def test_a_record_of_other_settings_stays_another() -> None:
    assert upgraded(Now, {"k": 9}) != upgraded(Now, {"k": 8})
    assert upgraded(Now, {"rate": 9}) == {"rate": 9}
    assert upgraded(Now, {"k": 8}, exclude={"inner"}) == {"k": 8}


@given(MAPPINGS, MAPPINGS)
def test_merge_changes_neither_side(base: dict, over: dict) -> None:
    before = deepcopy((base, over))
    merge(base, over)
    assert (base, over) == before


@given(MAPPINGS)
def test_merging_nothing_or_itself_changes_nothing(data: dict) -> None:
    assert merge(data, {}) == merge({}, data) == merge(data, data) == data


def test_merge_goes_into_mappings_and_replaces_the_rest() -> None:
    assert merge({"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"c": [2]}, "d": {"e": 1}}) == {
        "a": {"b": 1, "c": [2]},
        "d": {"e": 1},
    }


def test_flags_lie_on_top_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: y\nsampling:\n  seed: 4\n")
    config = load(Outer, path, {"sampling": {"top_p": 0.5}})
    assert config == Outer(name="y", sampling=Inner(seed=4, top_p=0.5))


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing yet\n")
    assert load(Outer, path) == load(Outer, None) == Outer()


def test_a_mistake_is_reported_with_the_file_it_is_in(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("nmae: y\n")
    with pytest.raises(ConfigError, match=r"recipe\.yaml: unknown setting"):
        load(Outer, path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1", "not YAML"),
        (b"- 1\n", "holds a list"),
        (b"\xff\xfe\xff", "cannot read|not YAML"),
        (b"a: \x07", "not YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_yaml(path)


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("a: {x: 1}\nb: 2\na: {y: 3}\n")
    with pytest.raises(ConfigError, match="'a' is there twice"):
        read_yaml(tmp_path / "c.yaml")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_yaml(tmp_path / "none.yaml")


def test_a_key_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("1: y\n")
    with pytest.raises(ConfigError, match="1"):
        load(Outer, path)


class Lists(Config):
    names: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    bounds: tuple[int, int] = (1, 2)
    text: str = ""


def test_a_comma_list_is_a_list_where_one_is_wanted() -> None:
    made = build(Lists, {"names": "rag, drp", "seeds": "1,2,3", "bounds": "3,4", "text": "a,b"})
    assert made == Lists(names=("rag", "drp"), seeds=(1, 2, 3), bounds=(3, 4), text="a,b")
    assert build(Lists, {"names": "rag"}).names == ("rag",)


@pytest.mark.parametrize(
    "text",
    ["[" * 5000, "2001-13-45", "9" * 6000, "!!python/name:os.system ''", "{a: 1, a: 2}", "12:99:99:99:99x: [", "?"],
)
def test_yaml_that_means_nothing_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"seeds: {text}\n")
    with pytest.raises(ConfigError) as caught:
        load(Lists, path)
    assert "\n" not in str(caught.value)


def test_a_value_too_long_to_show_is_cut() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Lists, {"bounds": [16**6000, "x" * 9000]})
    assert len(str(caught.value)) < 500
    with pytest.raises(ConfigError, match="cannot read"):
        load(Lists, Path("a\0b"))


def test_json_with_one_key_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' twice"):
        parse_json('{"b": {"a": 1, "a": 2}}')
    assert parse_json('{"a": 1, "a": 1}') == {"a": 1}


def test_a_database_is_never_opened_as_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Perhaps it is the store: see ``is_sqlite``."""
    with closing(sqlite3.connect(tmp_path / "s.db")) as database:
        database.execute("CREATE TABLE t (a)")
    opened = []
    monkeypatch.setattr(Path, "read_text", lambda path, **_: opened.append(path))
    monkeypatch.setattr(Path, "open", lambda path, *_, **__: opened.append(path))
    with pytest.raises(ConfigError, match="SQLite database"):
        read_yaml(tmp_path / "s.db")
    with pytest.raises(ValueError, match="SQLite database"):
        read_json(tmp_path / "s.db")
    assert not opened


def test_a_shipped_recipe_is_found_from_any_folder_unless_the_user_has_one(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = read_yaml(Path("recipes/dep/dep.yaml"))
    assert shipped == read_yaml(recipes() / "dep" / "dep.yaml")
    own = tmp_path / "recipes" / "dep" / "dep.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("encoder: own\n")
    assert read_yaml(Path("recipes/dep/dep.yaml")) == {"encoder": "own"}
    for name in ("recipes/dep/none.yaml", "recipes/../config.py", "recipes", "other/dep/dep.yaml"):
        with pytest.raises(ConfigError, match="cannot read configuration"):
            read_yaml(Path(name))
