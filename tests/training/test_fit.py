from __future__ import annotations

import json
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from idiolect.errors import ConfigError, InputError
from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.config import VectorInputs
from idiolect.softprompt.model import SoftPromptModel
from idiolect.training import fit as fitting
from idiolect.training import trainer
from idiolect.training.config import FitConfig
from idiolect.training.examples import Collator, Example
from idiolect.training.fit import fit_adapter

WITHOUT_TOKENS = Example(
    prompt=np.array([2, 3], dtype=np.int32),
    target=np.array([4], dtype=np.int32),
    virtual_token_positions=np.zeros(0, dtype=np.int64),
    inputs=VectorInputs(
        stream=np.zeros(0, dtype=np.int64),
        entry=np.zeros(0, dtype=np.int64),
        vectors=np.zeros((0, 0), dtype=np.float32),
    ),
)
QUICK = {"batch_size": 8, "learning_rate": 5e-3, "bf16": "off", "max_steps": 6, "every": 3}


@pytest.fixture(autouse=True)
def log_every_other_step(monkeypatch):
    monkeypatch.setattr(trainer, "LOG_EVERY", 2)


def states_equal(one, other, **tolerance):
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(tensor, other.state_dict()[name], **tolerance)


@torch.no_grad()
def nats(backbone, adapter, examples):
    model = SoftPromptModel(backbone, adapter).eval()
    return model(**Collator(0, adapter.collate)(examples))["generation"].item()


@pytest.mark.parametrize("family", ["qwen2", "gpt2"])
def test_the_adapter_learns_what_only_the_vectors_tell(tiny_backbone, make_adapter, examples, tmp_path, family):
    backbone, adapter, control = tiny_backbone(family), make_adapter(), make_adapter(kind="constant")
    before = {name: p.clone() for name, p in backbone.named_parameters()}
    config = FitConfig(batch_size=16, learning_rate=1e-2, epochs=20, bf16="off", every=90)
    train, held_out = examples[:64], examples[64:]
    untrained = nats(backbone, make_adapter(), held_out)
    report = fit_adapter(backbone, adapter, train, config=config, folder=tmp_path / "dep")
    fit_adapter(backbone, control, train, config=config, folder=tmp_path / "constant")
    assert untrained > 3
    assert nats(backbone, control, held_out) > 1
    assert nats(backbone, adapter, held_out) < 0.7 * nats(backbone, control, held_out)
    assert report.losses["generation"] < untrained
    assert all(torch.equal(p, before[name]) for name, p in backbone.named_parameters())


def test_report_and_log_say_what_was_done(tiny_backbone, make_adapter, examples, tmp_path):
    adapter = make_adapter()
    report = fit_adapter(tiny_backbone(), adapter, examples, config=FitConfig(**QUICK), folder=tmp_path)
    assert report.steps == 6
    assert report.trainable_parameters == sum(p.numel() for p in adapter.parameters())
    assert 0 < report.trainable_share < 1
    assert len(report.seconds_per_epoch) == 1
    assert report.best_metric is None
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [record for record in records if "loss" in record]
    assert [record["step"] for record in losses] == [1, 2, 4, 6]
    for record in losses:
        parts = record["generation"] + record["reconstruction"] + record["sparsity"]
        assert record["loss"] == pytest.approx(parts, rel=1e-4)
        assert record["soft_norm"] > 0
    saved = Adapter.from_pretrained(tmp_path)
    states_equal(saved, adapter, rtol=0, atol=0)
    assert "trainable share" in (tmp_path / "README.md").read_text()


def test_checkpoints_hold_the_adapter_and_no_backbone(tiny_backbone, make_adapter, examples, tmp_path):
    adapter, backbone = make_adapter(), tiny_backbone()
    fit_adapter(backbone, adapter, examples, config=FitConfig(**QUICK), folder=tmp_path)
    newest = tmp_path / "checkpoints" / "checkpoint-6"
    assert {path.name for path in newest.glob("*.safetensors")} == {"adapter.safetensors"}
    assert load_file(newest / "adapter.safetensors").keys() == adapter.state_dict().keys()
    assert not list(newest.glob("training_args*"))
    optimised = torch.load(newest / "optimizer.pt", weights_only=True)["state"]
    assert len(optimised) == len(list(adapter.parameters()))


class Interrupt(Exception):
    pass


@pytest.mark.parametrize("accumulation", [1, 2])
def test_an_interrupted_fit_ends_where_an_uninterrupted_one_does(
    tiny_backbone, make_adapter, examples, tmp_path, accumulation
):
    config = FitConfig(**{**QUICK, "max_steps": 9, "accumulation": accumulation})
    straight, broken = make_adapter(), make_adapter()
    once = {"config": config, "folder": tmp_path / "a", "validate": lambda: {"meteor": 1.0}}
    fit_adapter(tiny_backbone(), straight, examples, **once)
    calls = []

    def interrupt():
        calls.append(1)
        if len(calls) == 2:
            raise Interrupt
        return {"meteor": 1.0}

    def again(adapter):
        return fit_adapter(tiny_backbone(), adapter, examples, config=config, folder=tmp_path / "b", validate=interrupt)

    with pytest.raises(Interrupt):
        again(broken)
    resumed = make_adapter()
    report = again(resumed)
    assert report.steps == 9
    # Of equals the first checkpoint is the best and is kept: compare the last ones.
    ends = [load_file(tmp_path / x / "checkpoints/checkpoint-9/adapter.safetensors") for x in "ab"]
    for name in ends[0]:
        torch.testing.assert_close(ends[0][name], ends[1][name])
    lines = (tmp_path / "b" / "log.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines if '"loss"' in line]
    assert steps == sorted(set(steps))
    states_equal(straight, resumed)


class Failing(list):
    """Examples whose 50th one cannot be read, as if the run were killed there."""

    read = 0

    def __getitem__(self, index):
        self.read += 1
        if self.read == 50:
            raise Interrupt
        return super().__getitem__(index)


def test_a_fit_that_is_interrupted_within_its_first_epoch_is_resumed(
    tiny_backbone, make_adapter, examples, tmp_path, monkeypatch
):
    monkeypatch.setattr(fitting, "SAVE_MINUTES", 0.0)
    config = FitConfig(**{**QUICK, "max_steps": 9, "every": None})  # an epoch has 12 steps
    straight, resumed = make_adapter(), make_adapter()
    fit_adapter(tiny_backbone(), straight, examples, config=config, folder=tmp_path / "a")
    with pytest.raises(Interrupt):
        fit_adapter(tiny_backbone(), make_adapter(), Failing(examples), config=config, folder=tmp_path / "b")
    rest = Failing(examples)  # read from the start it would fail again
    report = fit_adapter(tiny_backbone(), resumed, rest, config=config, folder=tmp_path / "b")
    assert report.steps == 9
    states_equal(straight, resumed)


def test_a_finished_fit_is_not_run_again(tiny_backbone, make_adapter, examples, tmp_path):
    first, second = make_adapter(), make_adapter()
    report = fit_adapter(tiny_backbone(), first, examples, config=FitConfig(**QUICK), folder=tmp_path)
    log = (tmp_path / "log.jsonl").read_bytes()
    assert fit_adapter(tiny_backbone(), second, examples, config=FitConfig(**QUICK), folder=tmp_path) == report
    assert (tmp_path / "log.jsonl").read_bytes() == log
    states_equal(first, second, rtol=0, atol=0)


def test_a_half_written_checkpoint_is_passed_over(tiny_backbone, make_adapter, examples, tmp_path):
    fit_adapter(tiny_backbone(), make_adapter(), examples, config=FitConfig(**QUICK), folder=tmp_path)
    (tmp_path / "checkpoints" / "checkpoint-6" / "trainer_state.json").unlink()
    (tmp_path / "report.json").unlink()
    adapter = make_adapter()
    report = fit_adapter(tiny_backbone(), adapter, examples, config=FitConfig(**QUICK), folder=tmp_path)
    assert report.steps == 6


def test_another_fits_checkpoints_are_refused_unless_started_anew(tiny_backbone, make_adapter, examples, tmp_path):
    def fit(examples, resume=True, backbone="a", **settings):
        config, depends = FitConfig(**{**QUICK, **settings}), {"backbone": backbone}
        return fit_adapter(
            tiny_backbone(), make_adapter(), examples, config=config, folder=tmp_path, resume=resume, depends=depends
        )

    fit(examples)
    with pytest.raises(ConfigError, match="another fit: backbone changed"):
        fit(examples, backbone="b")
    with pytest.raises(ConfigError, match="another fit: fit changed"):
        fit(examples, learning_rate=1e-4)
    with pytest.raises(ConfigError, match="another fit: examples changed"):
        fit(examples[:-1])
    assert fit(examples[:-1], resume=False).steps == 6


def test_the_best_checkpoint_by_the_metric_is_kept(tiny_backbone, make_adapter, examples, tmp_path):
    adapter, seen = make_adapter(), []
    scores = iter([0.3, 0.9, 0.5])

    def validate():
        assert not adapter.training
        seen.append({name: tensor.clone() for name, tensor in adapter.state_dict().items()})
        return {"meteor": next(scores), "nll": 1.0}

    config = FitConfig(**{**QUICK, "max_steps": 9})
    report = fit_adapter(tiny_backbone(), adapter, examples, config=config, folder=tmp_path, validate=validate)
    assert (report.metric, report.best_metric, report.best_step) == ("meteor", 0.9, 6)
    for name, tensor in adapter.state_dict().items():
        torch.testing.assert_close(tensor, seen[1][name], rtol=0, atol=0)
    assert "validation meteor: 0.9" in (tmp_path / "README.md").read_text()


def test_less_is_better_for_likelihoods(tiny_backbone, make_adapter, examples, tmp_path):
    scores = iter([3.0, 2.0, 2.5])
    report = fit_adapter(
        tiny_backbone(),
        make_adapter(),
        examples,
        config=FitConfig(**{**QUICK, "max_steps": 9, "metric": "nll"}),
        folder=tmp_path,
        validate=lambda: {"nll": next(scores)},
    )
    assert (report.best_metric, report.best_step, report.steps) == (2.0, 6, 9)


@pytest.mark.parametrize("every", [3, None])
@pytest.mark.parametrize("interrupted", [None, 1, 2, 3, 4])
def test_a_fit_without_gain_ends_early_also_when_it_was_interrupted(
    tiny_backbone, make_adapter, examples, tmp_path, monkeypatch, interrupted, every
):
    monkeypatch.setattr(fitting, "SAVE_MINUTES", 0.0)
    scores = {3: 3.0, 6: 2.0, 9: 2.5, 12: 2.0, 15: 1.0}  # by step; an equal score is no gain
    config = FitConfig(**{**QUICK, "max_steps": 15, "metric": "nll", "patience": 2, "every": every})
    calls: list[int] = []

    def validate():
        calls.append(1)
        if len(calls) == interrupted:
            raise Interrupt
        done = len(calls) - (interrupted is not None and len(calls) > interrupted)
        return {"nll": scores[3 * done]}

    def run():
        how = {"config": config, "folder": tmp_path, "validate": validate}
        # An epoch is three steps.
        return fit_adapter(tiny_backbone(), make_adapter(), examples[:24], **how)

    if interrupted is not None:
        with pytest.raises(Interrupt):
            run()
    report = run()
    assert (report.best_metric, report.best_step, report.steps) == (2.0, 6, 12)


def test_a_fit_that_ends_within_an_epoch_and_was_killed_in_its_last_validation_is_validated_again(
    tiny_backbone, make_adapter, examples, tmp_path, monkeypatch
):
    monkeypatch.setattr(fitting, "SAVE_MINUTES", 0.0)
    config = FitConfig(**{**QUICK, "max_steps": 7, "metric": "nll", "every": None})
    scores = iter([3.0, 2.0, None, 1.0])

    def validate():
        found = next(scores)
        if found is None:
            raise Interrupt
        return {"nll": found}

    def run():
        return fit_adapter(
            tiny_backbone(), make_adapter(), examples[:24], config=config, folder=tmp_path, validate=validate
        )

    with pytest.raises(Interrupt):
        run()
    report = run()
    assert (report.best_metric, report.best_step, report.steps) == (1.0, 7, 7)


def test_a_fit_that_ended_early_and_was_killed_before_its_report_is_not_trained_further(
    tiny_backbone, make_adapter, examples, tmp_path, monkeypatch
):
    scores = iter([3.0, 2.0, 2.5])  # a fourth validation would find none
    config = FitConfig(**{**QUICK, "max_steps": 15, "metric": "nll", "patience": 1})
    how = {"config": config, "folder": tmp_path, "validate": lambda: {"nll": next(scores)}}
    with monkeypatch.context() as patched:
        patched.setattr(fitting, "_save", killed)
        with pytest.raises(Interrupt):
            fit_adapter(tiny_backbone(), make_adapter(), examples, **how)
    resumed = make_adapter()
    report = fit_adapter(tiny_backbone(), resumed, examples, **how)
    assert (report.best_metric, report.best_step, report.steps) == (2.0, 6, 9)
    best = load_file(tmp_path / "checkpoints/checkpoint-6/adapter.safetensors")
    for name, tensor in resumed.state_dict().items():
        torch.testing.assert_close(tensor, best[name], rtol=0, atol=0)


def killed(*_):
    raise Interrupt


def test_a_metric_that_validation_does_not_return_is_named(tiny_backbone, make_adapter, examples, tmp_path):
    with pytest.raises(ConfigError, match=r"no 'meteor'.*did you mean 'meteor_'"):
        fit_adapter(
            tiny_backbone(),
            make_adapter(),
            examples,
            config=FitConfig(**QUICK),
            folder=tmp_path,
            validate=lambda: {"meteor_": 1.0},
        )


def test_fitting_leaves_global_random_state_alone(tiny_backbone, make_adapter, examples, tmp_path):
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    fit_adapter(tiny_backbone(), make_adapter(), examples, config=FitConfig(**QUICK), folder=tmp_path)
    assert random.getstate() == before[0]
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_a_loss_that_is_no_number_stops_the_fit(tiny_backbone, make_adapter, examples, tmp_path):
    backbone = tiny_backbone()
    backbone.get_output_embeddings().weight.data[0, 0] = float("nan")
    with pytest.raises(ConfigError, match="the loss is nan"):
        fit_adapter(backbone, make_adapter(), examples, config=FitConfig(**QUICK), folder=tmp_path)


@pytest.mark.parametrize("without_tokens", [[], [WITHOUT_TOKENS]])
def test_nothing_to_fit_by_is_refused(tiny_backbone, make_adapter, tmp_path, without_tokens):
    with pytest.raises(InputError, match=f"none of {len(without_tokens)} examples has a virtual token"):
        fit_adapter(tiny_backbone(), make_adapter(), without_tokens, config=FitConfig(**QUICK), folder=tmp_path)


def test_examples_without_virtual_tokens_may_be_among_the_others(tiny_backbone, make_adapter, examples, tmp_path):
    config = FitConfig(**{**QUICK, "batch_size": 1})
    mixed = [examples[0], WITHOUT_TOKENS, examples[1], WITHOUT_TOKENS]
    assert fit_adapter(tiny_backbone(), make_adapter(), mixed, config=config, folder=tmp_path).steps == 6


def test_progress_is_reported_where_it_is_asked_for(
    tiny_backbone, make_adapter, examples, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr("idiolect.progress.INTERVAL_S", 0.0)  # every step is told
    for progress in (False, True):
        options = {"config": FitConfig(**QUICK), "folder": tmp_path / str(progress), "progress": progress}
        fit_adapter(tiny_backbone(), make_adapter(), examples, **options)
        shown = capfd.readouterr()
        assert ("fit: 6 of 6 steps" in shown.err) == progress
        assert shown.out == ""


def test_accumulated_batches_train_as_one_of_equal_targets(tiny_backbone, make_adapter, examples, tmp_path):
    alike = [e for e in examples if len(e.target) == 1 and len(e.inputs.stream) == 2]
    adapters, logs = [], []
    for batch_size, accumulation in ((8, 1), (4, 2)):
        adapter = make_adapter()
        config = FitConfig(**{**QUICK, "batch_size": batch_size, "accumulation": accumulation, "max_steps": 2})
        fit_adapter(tiny_backbone(), adapter, alike[:16], config=config, folder=tmp_path / str(batch_size))
        adapters.append(adapter)
        lines = (tmp_path / str(batch_size) / "log.jsonl").read_text().splitlines()
        logs.append([(record["loss"], record["grad_norm"]) for record in map(json.loads, lines) if "loss" in record])
    states_equal(*adapters, rtol=1e-4, atol=1e-5)
    # Adam's steps do not depend on the scale of the gradient, but clipping and its epsilon do.
    np.testing.assert_allclose(*logs, rtol=1e-3)


def test_checkpointing_is_a_setting(tiny_backbone, make_adapter, examples, tmp_path):
    config = FitConfig(**{**QUICK, "checkpointing": True})
    assert fit_adapter(tiny_backbone(), make_adapter(), examples, config=config, folder=tmp_path).steps == 6


def test_presets_are_checked_by_name():
    assert FitConfig.preset("paper", epochs=1).learning_rate == 1e-5
    with pytest.raises(ConfigError, match="unknown fit preset 'pape'"):
        FitConfig.preset("pape")
