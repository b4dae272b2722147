"""Evaluations against one another: the same samples or a refusal, any baseline, seeds pooled."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idiolect.cli.main import main
from idiolect.errors import ConfigError, InputError
from idiolect.evaluation.columns import NLL
from idiolect.evaluation.compare import Compared, compare_evaluations
from idiolect.evaluation.significance import Resamples, interval
from idiolect.pipeline.results import output_file, read_lines, write_json, write_lines
from idiolect.types import ConditionId

USERS, EACH = 12, 2
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes an evaluation: by condition, so many nats less than the hardness of the reference."""

    def written(
        name: str, gains: dict[str | ConditionId, float], *, seed: int = 0, samples: int = USERS * EACH, **settings: Any
    ) -> str:
        folder, noise = tmp_path / name, np.random.default_rng(seed)
        hard = np.random.default_rng(99).normal(90, 20, USERS * EACH)
        (folder / "samples").mkdir(parents=True)
        keyed = {ConditionId(one) if isinstance(one, str) else one: gain for one, gain in gains.items()}
        for condition, gain in keyed.items():
            nats = hard - gain + noise.normal(0, 0.3, len(hard))
            rows = [
                {"user": f"u{k % USERS}", "item": f"i{k}", "target": f"t{k}", "reference": f"it ran {k} miles",
                 "text": f"it ran {k} miles" if gain > 1 else f"it sat {seed} days", "nll": nats[k]}
                for k in range(samples)
            ]  # fmt: skip
            write_lines(output_file(folder, "samples", condition.plain_name), rows)
        record = {
            "settings": {"seed": 3, "resamples": 400, "metrics": ["rouge1", "trait-fidelity"], **settings},
            "conditions": [asdict(one) for one in keyed],
        }
        write_json(folder / "results.json", record)
        return str(folder)

    return written


def cell(found: Compared, row: str, column: str = "nll", *, title: str | None = None) -> Any:
    table = found.tables[title] if title else next(iter(found.tables.values()))
    place = [column.name for column in table.columns].index(column)
    return next(one for one in table.rows if one.name == row).cells[place]


GAINS = {"nonpersonalized": 0.0, "rag": 1.0, "drp": 2.0, ConditionId("rag", "wrong user"): -1.0}


def test_one_evaluation_is_held_against_rag_with_the_intervals_it_had(write: Write) -> None:
    folder = write("a", GAINS)
    found = compare_evaluations([folder])
    assert [row.method for row in found.tables["against rag"].rows] == ["nonpersonalized", "rag", "drp"]
    rows = [json.loads(line) for line in (Path(folder) / "samples" / "drp.jsonl").read_text().splitlines()]
    draws = Resamples(len(rows), np.random.default_rng([3, 11]), clusters=[row["user"] for row in rows], resamples=400)
    assert cell(found, "drp").score == interval(draws.score(NLL, np.array([row["nll"] for row in rows])))
    assert cell(found, "drp").versus.difference == pytest.approx(-1, abs=0.3)
    assert cell(found, "drp").p_holm < 0.05
    assert "trait-fidelity is left out" in found.text
    assert "drp - rag" in found.text


def test_any_condition_may_be_the_baseline_controls_too(write: Write) -> None:
    found = compare_evaluations([write("a", GAINS)], baseline="rag: wrong user", conditions=["drp"])
    assert [row.name for row in found.tables["against rag: wrong user"].rows] == ["drp", "rag: wrong user"]
    assert cell(found, "drp").versus.difference == pytest.approx(-3, abs=0.3)


def test_a_method_named_like_a_control_is_compared_as_a_method(write: Write) -> None:
    found = compare_evaluations([write("a", {"rag": 0.0, "rag: hot": 1.0, ConditionId("rag", "wrong user"): -1.0})])
    assert [row.name for row in found.tables["against rag"].rows] == ["rag", "rag: hot"]


def test_a_measured_method_is_compared_with_the_same_method_of_models(write: Write) -> None:
    measured = ConditionId("drp", measured=True)
    found = compare_evaluations([write("a", {measured: 0.0}), write("b", {"drp": 2.0}, seed=1)])
    assert [row.name for row in found.tables["drp"].rows] == ["a:drp (measured)", "b:drp"]
    alone = compare_evaluations([write("c", {"rag": 0.0, measured: 1.0})], baseline="drp")
    assert str(alone.tables["against drp (measured)"].baseline) == "drp (measured)"


def test_results_without_recorded_controls_are_one_line(write: Write) -> None:
    folder = Path(write("a", GAINS))
    record = json.loads((folder / "results.json").read_text())
    del record["conditions"]
    write_json(folder / "results.json", record)
    with pytest.raises(InputError, match=r"an earlier version wrote it, .* \(evaluate again\)"):
        compare_evaluations([str(folder)])


def test_of_several_evaluations_each_condition_is_held_against_the_first(write: Write) -> None:
    found = compare_evaluations([write("a", {"rag": 0.0, "drp": 0.0}), write("b", {"rag": 0.0, "drp": 2.0}, seed=1)])
    assert list(found.tables) == ["rag", "drp"]
    assert {str(table.baseline) for table in found.tables.values()} == {"a:rag", "a:drp"}
    assert cell(found, "b:drp", title="drp").p_holm < 0.05
    assert cell(found, "b:rag", title="rag").p_holm > 0.05
    assert "first of its condition" in found.text


@pytest.mark.parametrize("name", ["b:rag", "somewhere/b:rag"])
def test_one_baseline_serves_several_evaluations_by_label_or_folder(write: Write, name: str) -> None:
    found = compare_evaluations([write("a", {"rag": 0.0, "drp": 2.0}), write("b", {"rag": 0.0})], baseline=name)
    assert list(found.tables) == ["against b:rag"]
    assert [row.method for row in found.tables["against b:rag"].rows] == ["a:rag", "a:drp", "b:rag"]


def test_seeds_are_pooled_to_their_mean_and_users_stay_the_units(write: Write) -> None:
    folders = [write(f"a{seed}", {"drp": float(seed)}, seed=seed) for seed in range(3)]
    pooled, alone = compare_evaluations(folders, pool=True), [compare_evaluations([one]) for one in folders]
    assert cell(pooled, "drp").score.value == pytest.approx(np.mean([cell(one, "drp").score.value for one in alone]))
    (table,) = pooled.tables.values()
    assert (table.segments, table.units) == (3 * USERS * EACH, USERS)


def test_pooled_seeds_are_compared_with_pooled_seeds_or_with_one(write: Write) -> None:
    a, b = (
        ",".join(write(f"{name}{k}", {"drp": gain}, seed=k) for k in (1, 2)) for name, gain in (("a", 0.0), ("b", 2.0))
    )
    found = compare_evaluations([f"one={a}", f"other={b}"])
    assert cell(found, "other:drp").versus.difference == pytest.approx(-2, abs=0.1)
    assert (
        compare_evaluations([a, write("c", {"drp": 1.0})])
        .notes[1]
        .startswith("c: one evaluation, held against each of 2")
    )
    three = ",".join(write(f"d{k}", {"drp": 0.0}) for k in range(3))
    with pytest.raises(InputError, match="pools 2 evaluations, another 3"):
        compare_evaluations([f"one={a}", f"three={three}"])


def test_repeating_an_evaluation_changes_neither_interval_nor_test(write: Write) -> None:
    one, two = write("a", GAINS), write("b", {"rag": 1.2, "drp": 2.4}, seed=4)
    plain, repeated = compare_evaluations([one, two]), compare_evaluations([f"a={one},{one}", f"b={two}"])
    for name in ("rag", "drp"):
        expected, found = (cell(of, f"b:{name}", title=name) for of in (plain, repeated))
        assert found.score == pytest.approx(expected.score)
        assert found.versus == pytest.approx(expected.versus)


def test_other_samples_are_refused(write: Write) -> None:
    with pytest.raises(InputError, match=r"other samples than .*: 20 of 20 and 24 are shared"):
        compare_evaluations([write("a", GAINS), write("b", GAINS, samples=20)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "dpr"}, "no evaluation has 'dpr'.*did you mean 'drp'"),
        ({"conditions": ["c:drp"]}, "no evaluation has 'c:drp'"),
        ({"metrics": ["rogue1"]}, "unknown metric"),
        ({"metrics": ["rouge1", "rouge1"]}, "two metrics are called 'rouge1'"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(write: Write, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compare_evaluations([write("a", GAINS)], **options)


def test_a_baseline_in_several_evaluations_and_one_label_for_two_are_refused(write: Write) -> None:
    one, two = write("a", GAINS), write("b", GAINS)
    with pytest.raises(ConfigError, match=r"'drp' is in several evaluations.*a:drp, b:drp"):
        compare_evaluations([one, two], baseline="drp")
    with pytest.raises(ConfigError, match="two evaluations are called 'a'"):
        compare_evaluations([one, f"a={two}"])


def test_what_is_no_evaluation_or_half_of_one_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no finished evaluation"):
        compare_evaluations([str(tmp_path)])
    folder = Path(write("a", GAINS))
    (folder / "samples" / "drp.jsonl").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        compare_evaluations([str(folder)])


def test_a_likelihood_that_is_no_number_is_left_out_with_a_note(write: Write) -> None:
    folder = Path(write("a", {"rag": 0.0, "drp": 2.0}))
    path = output_file(folder, "samples", "drp")
    first, *others = read_lines(path)
    write_lines(path, [{**first, "nll": float("nan")}, *others])
    found = compare_evaluations([str(folder)])
    assert cell(found, "drp") is None
    assert cell(found, "drp", "rouge1").score.value == 1
    assert "a:drp: nll is left out: 1 of 24 samples have no finite value" in found.notes


def test_the_command_leaves_tables_and_scores_for_other_programs(write: Write, capsys, tmp_path: Path) -> None:
    files = {name: tmp_path / f"out.{name}" for name in ("csv", "latex", "scores")}
    named = [token for name, path in files.items() for token in (f"--{name}", str(path))]
    main(
        ["compare", write("a", GAINS), "--baseline", "nonpersonalized", "--metrics", "rouge1", "bleu", "--json", *named]
    )
    record = json.loads(capsys.readouterr().out)
    assert list(record["tables"]) == ["against nonpersonalized"]
    with files["csv"].open(encoding="utf-8") as lines:
        table = list(csv.DictReader(lines))
    assert [(row["method"], row["metric"]) for row in table[:4]] == [
        ("nonpersonalized", "nll"), ("nonpersonalized", "rouge1"), ("nonpersonalized", "bleu"), ("rag", "nll"),
    ]  # fmt: skip
    assert table[0]["p"] == ""
    assert float(table[3]["difference"]) == pytest.approx(-1, abs=0.3)
    assert files["latex"].read_text(encoding="utf-8").count(r"\begin{tabular}") == 1
    with files["scores"].open(encoding="utf-8") as lines:
        scores = list(csv.DictReader(lines))
    assert len(scores) == 3 * USERS * EACH
    own = [float(row["rouge1"]) for row in scores if row["method"] == "drp"]
    assert own == [1.0] * USERS * EACH


class TestFromElsewhere:
    """An evaluation of somebody else is data: one line says what is wrong with it, and it names no code."""

    def test_it_does_not_choose_the_code_of_a_metric(self, write: Write) -> None:
        folder = write("a", GAINS, metrics=["rouge1", "antigravity:x"])
        sys.modules.pop("antigravity", None)
        found = compare_evaluations([folder])
        assert "antigravity" not in sys.modules
        assert any("antigravity:x left out" in note for note in found.notes)

    @pytest.mark.parametrize(
        "settings",
        [
            {"metrics": 3},
            {"metrics": [["rouge1"]]},
            {"resamples": 10**12},
            {"resamples": "many"},
            {"seed": -1},
            {"seed": [1]},
        ],
    )
    def test_settings_that_are_none_are_one_line(self, write: Write, settings: dict[str, Any]) -> None:
        folder = Path(write("a", GAINS))
        record = json.loads((folder / "results.json").read_text())
        record["settings"] |= settings
        write_json(folder / "results.json", record)
        with pytest.raises(InputError, match="cannot be read") as found:
            compare_evaluations([str(folder)])
        assert "\n" not in str(found.value)

    @pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", 3, None, "", "x" * 1000, ["a"]])
    def test_conditions_without_plain_names_are_refused(self, write: Write, name: Any) -> None:
        folder = Path(write("a", GAINS))
        record = json.loads((folder / "results.json").read_text())
        record["conditions"].append({"method": name, "control": None, "measured": False})
        write_json(folder / "results.json", record)
        with pytest.raises(InputError, match="cannot be read"):
            compare_evaluations([str(folder)])

    def test_a_name_is_no_path_out_of_the_folder(self, write: Write, tmp_path: Path) -> None:
        folder = Path(write("a", GAINS))
        write_lines(tmp_path / "secret.jsonl", [{"user": "secret"}])
        record = json.loads((folder / "results.json").read_text())
        record["conditions"].append({"method": "../../secret", "control": None, "measured": False})
        write_json(folder / "results.json", record)
        with pytest.raises(InputError) as found:
            compare_evaluations([str(folder)])
        assert str(tmp_path / "secret") not in str(found.value)

    @pytest.mark.parametrize(
        "line", ["[" * 100_000, "null", "[]", '{"user": 1}', '{"user": "u", "item": "i", "nll": "x"}', "{"]
    )
    def test_outputs_that_are_none_are_one_line(self, write: Write, line: str) -> None:
        folder = Path(write("a", GAINS))
        output_file(folder, "samples", "drp").write_text(line + "\n")
        with pytest.raises(InputError, match=r"drp\.jsonl, line 1") as found:
            compare_evaluations([str(folder)])
        assert "\n" not in str(found.value)

    def test_a_record_that_is_nested_without_end_is_one_line(self, write: Write) -> None:
        folder = Path(write("a", GAINS))
        (folder / "results.json").write_text('{"tables":' * 50_000)
        with pytest.raises(InputError, match="cannot be read"):
            compare_evaluations([str(folder)])
