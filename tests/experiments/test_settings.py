"""What would be refused, or ignored, after hours is refused at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from idiolect.config import build
from idiolect.errors import ConfigError
from idiolect.evaluation.conditions import evaluated_methods
from idiolect.pipeline.commands import load_settings
from idiolect.pipeline.settings import Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adapter": {"typo": 1}}, "typo"),
        ({"adapter": {"kind": "constant"}}, "adapter.kind follows"),
        ({"adapter": {"hidden_size": 64}}, "adapter.hidden_size follows"),
        ({"adapter": {"activation": "nope"}}, "activation"),
        ({"context": {"retriever": "nope"}}, "unknown retriever 'nope'"),
        ({"context": {"retriever": "recentcy"}}, "did you mean 'recency'"),
        ({"metrics": ["rouge1", "rougeM"]}, "unknown metric 'rougeM'"),
        ({"metrics": ["trait-fidelty"]}, "did you mean 'trait-fidelity'"),
        ({"context": {"k": 0}}, "controls without constant"),
        ({"controls": ["his_twise"]}, "did you mean 'his_twice'"),
        ({"vectors": "his_twice", "controls": ["shuffled_peers"]}, "held against vectors = right, not 'his_twice'"),
        ({"backbone": {"backend": "openai"}}, "set endpoint.model and endpoint.base_url"),
        ({"backbone": {"endpoint": {"model": "m"}, "backend": "fake"}}, "the backend fake uses no endpoint"),
        ({"backbone": {"endpoint": {"model": "m"}, "model": "fake"}}, "leave out model"),
        ({"backbone": {"endpoint": {"base_url": "http://here/v1"}}}, "backbone.endpoint.model"),
        ({"backbone": {"endpoint": {"model": "m", "typo": 1}}}, "unknown setting 'backbone.endpoint.typo'"),
        ({"backbone": {"endpoint": {"model": "m", "base_url": "localhost:8000/v1"}}}, "no address such as http"),
        ({"backbone": {"endpoint": {"model": "m", "base_url": "http://h/v1?key=1"}}}, "no address such as http"),
        ({"prompt": {"streams": "his"}}, "set adapter.streams"),
        ({"prompt": {"streams": "diff"}, "adapter": {"streams": "his"}}, "set adapter.streams"),
        ({"fit": {"metric": "rouge1"}}, "fit.metric is meteor or nll"),
        ({"sampling": {"temperature": -1}}, "temperature"),
        ({"sampling": {"top_p": 0}}, "top_p"),
        ({"sampling": {"max_new_tokens": 0}}, "max_new_tokens"),
        ({"methods": ["drpp"]}, "unknown method 'drpp': did you mean 'drp'"),
        ({"methods": ["ragg"]}, "unknown method 'ragg': did you mean 'rag'"),
        ({"differences": {"comparison": {"retriever": "recentcy"}}}, "did you mean 'recency'"),
        ({"differences": {"extractor": {"backbone": {"backend": "fakes"}}}}, "unknown backend 'fakes'"),
        ({"differences": {"summarizer": {"samplings": {}}}}, "did you mean 'sampling'"),
        ({"contexts": {}}, "did you mean 'context'"),
    ],
)
def test_what_cannot_work_is_refused_by_name(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(Settings, settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"context": {"k": 0}, "controls": ["his_twice", "shuffled_peers"]},
        {"vectors": "his_twice", "controls": ["constant"]},
        {"backbone": {"endpoint": {"model": "m"}}},
        {"cache": None},
        {"prompt": {"streams": "diff"}, "adapter": {"streams": "diff"}},
        {"context": {"retriever": "dense"}},
        {"adapter_preset": "paper"},
        {"methods": []},
        {"differences": {"extractor": {}, "generator": {"backbone": {"endpoint": {"model": "m"}}}}},
    ],
)
def test_what_works_is_taken(settings: dict) -> None:
    build(Settings, settings)


def test_a_runs_models_are_its_own_and_those_of_its_roles() -> None:
    roles = {"extractor": {}, "summarizer": {"backbone": {"model": "s"}}, "generator": {"backbone": {"model": "g"}}}
    found = build(Settings, {"differences": roles})
    assert [backbone.model for backbone in found.backbones] == ["sandbox", "s", "g"]
    assert list(found.differences.roles) == list(roles)


def test_a_roles_folder_is_recorded_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lm").mkdir()
    (found, *_) = load_settings(changes={"differences": {"summarizer": {"backbone": {"model": "lm"}}}}).backbones[1:]
    assert found.model == str(tmp_path / "lm")


def test_encoder_backbone_and_context_dictate_the_adapters_shape() -> None:
    config = build(Settings, {"context": {"k": 5}, "adapter": {"streams": "diff"}}).adapter_config(
        d_in=48, hidden_size=96, constant=True
    )
    assert (config.d_in, config.hidden_size, config.max_entries) == (48, 96, 5)
    assert (config.kind, config.streams) == ("constant", "diff")


def test_what_a_role_says_of_sampling_leaves_the_rest_of_its_defaults():
    changes = {"differences": {"extractor": {"sampling": {"seed": 1}}, "validator": {"sampling": {"temperature": 0.6}}}}
    differences = load_settings(changes=changes).differences
    assert differences.extractor is not None
    assert differences.validator is not None
    found = [(role.sampling.temperature, role.sampling.max_new_tokens) for role in differences.roles.values()]
    assert found == [(0, 2048), (0.6, 2048)]
    assert differences.extractor.sampling.replicate(2).temperature == 0


def test_methods_may_name_those_that_are_evaluated_anyway() -> None:
    named = build(Settings, {"methods": "nonpersonalized,rag,drp"})
    assert named.methods == ("drp",)
    assert build(Settings, {"methods": ["rag"]}).methods == ()
    named = build(Settings, {"methods": ["dep", "pag"]})
    assert evaluated_methods(named, Path("adapter")) == ["nonpersonalized", "rag", "pag", "dep"]
    with pytest.raises(ConfigError, match="pass adapter="):
        evaluated_methods(named, None)
