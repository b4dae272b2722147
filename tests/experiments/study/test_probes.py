from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from idiolect.config import build
from idiolect.encoders import HashEncoder
from idiolect.errors import ArtifactError, ConfigError, InputError
from idiolect.experiments.study import probes
from idiolect.experiments.study.arrays import SAECodes, load_world_arrays
from idiolect.experiments.study.probes import ProbeConfig, ProbeResults, measure, run_probes
from idiolect.sandbox.traits import NAMES
from idiolect.sandbox.world import World


def score(results: ProbeResults, curve: str, place: int, name: str) -> float:
    return results.curves[curve][place].scores[name].value


def test_one_review_recovers_the_share_of_its_variance_that_is_the_users(results, world):
    user, genre, item, noise = (sd**2 for sd in (world.user_sd, world.genre_sd, world.item_sd, world.noise_sd))
    peers = results.curves["anchors"][0].mean_peers
    assert score(results, "anchors", 0, "e_his") == pytest.approx(user / (user + genre + item + noise), abs=0.08)
    assert score(results, "anchors", 0, "e_diff") == pytest.approx(user / ((user + noise) * (1 + 1 / peers)), abs=0.08)


def test_where_items_confound_differences_tell_more_and_most_where_reviews_are_few(results):
    few, many = (point.gaps["e_diff - e_his"] for point in results.curves["anchors"])
    assert few.low > many.high > many.low > 0
    assert few.p < 0.05


def test_where_items_do_not_confound_differences_only_add_the_peers_noise(results):
    still, confounded = (point.gaps["e_diff - e_his"] for point in results.curves["confounding"])
    assert still.high < 0 < confounded.low


def test_wrong_peers_are_no_better_than_history(results):
    for curve in ("anchors", "peers"):
        for point in results.curves[curve]:
            assert point.gaps["shuffled - e_his"].high < 0
            assert point.gaps["e_diff - shuffled"].low > 0


def test_more_peers_and_less_noise_tell_more(results):
    peers = [score(results, "peers", k, "e_diff") for k in range(3)]
    assert peers == sorted(peers)
    assert [point.mean_peers for point in results.curves["peers"][:2]] == pytest.approx([1, 4], abs=0.1)
    assert score(results, "noise", 0, "e_diff") > score(results, "noise", 1, "e_diff") + 0.1
    assert len({score(results, "peers", k, "e_his") for k in range(3)}) == 1


def test_every_trait_is_scored_for_every_input(results):
    for point in [point for points in results.curves.values() for point in points]:
        assert set(point.scores) == set(point.traits) == {"e_his", "e_diff", "both", "shuffled"}
        for name, traits in point.traits.items():
            assert tuple(traits) == NAMES
            assert np.mean([t.value for t in traits.values()]) == pytest.approx(point.scores[name].value)


def test_the_same_setting_on_two_curves_is_one_point(results):
    assert results.curves["anchors"][0] == results.curves["peers"][-1]
    assert results.curves["confounding"][1] == results.curves["noise"][0]


def test_results_survive_json(results):
    assert ProbeResults.from_dict(json.loads(json.dumps(results.to_dict()))) == results


def test_what_is_no_result_is_refused():
    with pytest.raises(ArtifactError, match="not a record of probes"):
        ProbeResults.from_dict({"curves": 3})


def test_what_was_computed_is_not_computed_again(results, oracle, cache, monkeypatch, world, config):
    before = oracle.encoded
    monkeypatch.setattr(probes, "measure", None)
    assert run_probes(world, oracle, cache, config) == results
    assert oracle.encoded == before


def test_a_lost_point_is_computed_again_to_the_same_numbers(results, oracle, cache, tmp_path, world, config):
    shutil.copytree(cache, tmp_path, dirs_exist_ok=True)
    lost = sorted(tmp_path.glob("point-*.json"))
    lost[0].unlink()
    assert run_probes(world, oracle, tmp_path, config) == results
    assert sorted(tmp_path.glob("point-*.json")) == lost


def test_another_seed_or_number_of_draws_is_another_point(results, oracle, cache, tmp_path, world, config):
    shutil.copytree(cache, tmp_path, dirs_exist_ok=True)
    before = len(list(tmp_path.glob("point-*.json")))
    run_probes(world, oracle, tmp_path, config.model_copy(update={"seed": 1, "peers": (), "noise_sd": ()}))
    assert len(list(tmp_path.glob("point-*.json"))) == before + 3


def test_a_damaged_point_is_refused(results, oracle, cache, tmp_path, world, config):
    shutil.copytree(cache, tmp_path, dirs_exist_ok=True)
    min(tmp_path.glob("point-*.json")).write_text('{"users": 3}')
    with pytest.raises(ArtifactError, match="damaged"):
        run_probes(world, oracle, tmp_path, config)


def test_codes_are_two_more_inputs(oracle, cache, world, config):
    panel = load_world_arrays(World(world.model_copy(update={"n_users": 90})), oracle, cache)
    codes = SAECodes(name="signs", streams=("his", "diff"), encode=lambda x, stream: np.maximum(x, 0))
    point = measure(panel, config, anchors=1, codes=codes)
    assert set(point.scores) == {"e_his", "e_diff", "both", "shuffled", "z_his", "z_diff"}
    assert "z_diff - z_his" in point.gaps
    assert point.scores["z_diff"].value < point.scores["e_diff"].value


def test_it_says_what_it_found(results, oracle, cache, world, config):
    lines: list[str] = []
    run_probes(world, oracle, cache, config, say=lines.append)
    assert len(lines) == sum(map(len, results.curves.values()))
    assert "1 anchors, all peers" in lines[0]
    assert f"e_diff {score(results, 'anchors', 0, 'e_diff'):.3f}" in lines[0]


def test_too_few_users_and_too_many_anchors_are_refused(tmp_path, world, config):
    lonely = world.model_copy(update={"n_users": 20, "reviews_per_user": (2, 3)})
    panel = load_world_arrays(World(lonely), HashEncoder(16), tmp_path)
    with pytest.raises(InputError, match="cannot be probed"):
        measure(panel, config, anchors=1)
    with pytest.raises(ConfigError, match="9 anchors"):
        measure(panel, config, anchors=9)


def test_impossible_configurations_are_refused():
    for wrong in ({"folds": 2}, {"anchors": []}, {"draws": 0}, {"n_users": 3}, {"sizes": 4}):
        with pytest.raises(ConfigError):
            build(ProbeConfig, wrong)
