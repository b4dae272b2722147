from __future__ import annotations

from contextlib import ExitStack

import polars as pl
import pytest

from idiolect.config import build
from idiolect.encoders import HashEncoder, load_encoder
from idiolect.errors import ConfigError, NotFoundError
from idiolect.llm.base import SamplingParams
from idiolect.llm.cache import Cache, CachedLLM
from idiolect.llm.fake import FakeLLM
from idiolect.llm.registry import BackboneConfig
from idiolect.methods.adaptive import AdaptiveExtraction
from idiolect.methods.base import DEFAULT_METHODS
from idiolect.pipeline import models
from idiolect.pipeline.data import Data
from idiolect.pipeline.models import MethodBuilder, Models, make_norms
from idiolect.pipeline.settings import DifferenceConfig, RoleConfig, Settings
from idiolect.store.embedding import embed_missing
from idiolect.store.snapshot_build import build_snapshot
from idiolect.store.sql import SqlStore

PARAMS = SamplingParams(temperature=0, max_new_tokens=20)


@pytest.fixture(scope="module")
def data(job):
    settings = build(Settings, {**job.settings, "encoder": "hash:48"}, where="test")
    with SqlStore(job.store, create=False) as store:
        yield Data(store, job.split, settings, encoder=load_encoder("hash:48"))


@pytest.fixture
def method(data):
    """Makes a method whose models are closed when the test ends."""
    with ExitStack() as stack:
        yield lambda *args, **config: build_method(stack, data, *args, **config)


def build_method(stack, data, name, llm, cache=None, **config):
    settings = build(DifferenceConfig, {"comparison": {"representatives": 2, "anchors": 3}, **config}, where="test")
    models = stack.enter_context(Models(llm, PARAMS, cache=cache))
    builder = MethodBuilder(Settings(differences=settings), models, data.snapshot("test"), data.text_encoder)
    return builder.build(name, data.contexts("test"))


@pytest.mark.parametrize("name", DEFAULT_METHODS)
def test_every_method_writes_every_test_sample_with_no_model_but_the_writer(method, data, name):
    llm = FakeLLM()
    samples = data.samples("test")
    found = method(name, llm).generate(samples)
    assert [prediction.sample for prediction in found] == samples
    assert len(llm.seen) == len(samples)
    assert all(prediction.profile.startswith("Compared with others, this user ") for prediction in found)
    assert all(set(prediction.usage) == {"write"} for prediction in found)


def test_roles_are_given_to_the_runs_model_or_to_their_own(method, tmp_path):
    own = FakeLLM(lambda prompt: "[Summary]: Long.")
    config = {"extractor": {}, "validator": {"backbone": {"model": "fake"}}, "summarizer": {"sampling": {"top_p": 0.5}}}
    drp = method("drp", own, cache=tmp_path / "answers.db", **config)
    extract, validate, summarize = drp.extract.role, drp.validate.role, drp.summarize.role
    assert extract.llm is summarize.llm
    assert isinstance(extract.llm, CachedLLM)
    assert extract.llm.llm is own
    assert validate.llm.llm is not own
    assert isinstance(validate.llm, CachedLLM)
    assert (extract.params.temperature, summarize.params.top_p) == (0, 0.5)
    assert drp.writer.llm is own
    assert drp.writer.params == PARAMS


def test_an_answer_on_record_is_not_asked_for_again(method, data, tmp_path):
    samples = data.samples("test")
    llm = FakeLLM(lambda prompt: "[Summary]: Long.")
    config = {"extractor": {}, "summarizer": {}}
    drp = method("drp", llm, cache=tmp_path / "answers.db", **config)
    drp.prompts(samples)
    asked = len(llm.seen)
    (found, *_) = drp.generate(samples)
    assert len(llm.seen) == asked + len(samples), "only the writer is asked"
    assert found.usage["extract"].cached == found.usage["extract"].calls > 0


def test_stage_settings_reach_the_stages(method):
    adaptive = {"stages": {"adaptive": {"max_calls": 5}}, "extractor": {}}
    drp = method("drp", FakeLLM(), dimensions=[{"name": "Rhythm", "definition": "its beat"}], **adaptive)
    assert isinstance(drp.extract, AdaptiveExtraction)
    assert drp.extract.config.max_calls == 5
    assert [one.name for one in drp.extract.extraction.standard.dimensions] == ["Rhythm"]


def test_norms_are_of_some_users_drawn_by_seed(data, monkeypatch):
    reader = data.snapshot("test")
    everybody = make_norms(reader).sd.tolist()
    monkeypatch.setattr(models, "NORM_USERS", 2)
    assert make_norms(reader, seed=1).sd.tolist() == make_norms(reader, seed=1).sd.tolist()
    assert make_norms(reader).sd.tolist() != everybody


def test_whoever_is_nobodys_peer_is_in_no_norm(data, tmp_path):
    """The norms are those of a store that never saw them, live and in a snapshot."""
    reviews = [review for user in data.store.users() for review in data.store.profile(user)]
    apart, encoder = reviews[0].user, HashEncoder(16)
    with SqlStore(tmp_path / "flagged.db") as flagged, SqlStore(tmp_path / "never.db") as never:
        flagged.add([], reviews)
        flagged.set_peer(apart, False)
        never.add([], [review for review in reviews if review.user != apart])
        embed_missing(flagged, encoder)
        members = flagged.review_frame().select("review_id", "user", role=pl.lit("profile"))
        frozen = build_snapshot(flagged, members, phase="test", encoder=encoder.name, folder=tmp_path / "snapshot")
        norms = [make_norms(reader) for reader in (flagged, frozen, never, data.store)]
    assert norms[0].values.tolist() == norms[1].values.tolist() == norms[2].values.tolist()
    assert len(norms[3].values) > len(norms[2].values)


def test_a_model_that_is_on_record_already_is_not_recorded_twice(tmp_path):
    with (
        Cache(tmp_path / "own.db") as record,
        Models(CachedLLM(FakeLLM(), record), PARAMS, cache=tmp_path / "b") as all_,
    ):
        roles = all_.roles(DifferenceConfig(extractor=RoleConfig()))
        assert roles.extractor is not None
        assert roles.extractor.llm is roles.generator.llm


def test_only_the_models_of_required_roles_are_loaded(method, tmp_path):
    nowhere = {"extractor": {"backbone": {"model": str(tmp_path / "nowhere")}}}
    assert method("pag", FakeLLM(), **nowhere).name == "pag"
    with pytest.raises(NotFoundError):
        method("dpl", FakeLLM(), **nowhere)


def test_the_models_of_the_roles_are_named():
    with Models(FakeLLM(), PARAMS) as models:
        asked = DifferenceConfig(extractor=RoleConfig(), generator=RoleConfig(backbone=BackboneConfig(model="fake")))
        assert models.names(asked) == {"extractor": "fake", "generator": "fake"}
        assert models.names(DifferenceConfig()) == {}


def test_what_cannot_be_is_refused(method):
    with pytest.raises(ConfigError, match=r"unknown method 'drpp'.*did you mean 'drp'"):
        method("drpp", FakeLLM())
