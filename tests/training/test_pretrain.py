from __future__ import annotations

import json
import math
import random
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from idiolect.errors import ConfigError, InputError, NotFoundError
from idiolect.llm.base import SamplingParams
from idiolect.llm.registry import BackboneConfig
from idiolect.llm.transformers import TransformersLLM
from idiolect.prompts.rendering import render
from idiolect.prompts.tasks import load_task
from idiolect.training import pretrain as pretraining
from idiolect.training.config import PretrainConfig
from idiolect.training.pretrain import pretrain
from idiolect.types import Item, ItemId, Review, ReviewId, UserId

CONFIG = PretrainConfig(
    size="1m",
    vocab_size=420,
    max_tokens=640,
    reference_tokens=40,
    tokens_per_step=1500,
    max_steps=6,
    held_out=5,
)
REVIEWS = [
    Review(
        id=ReviewId(f"u{u}-{k}"),
        user=UserId(f"u{u}"),
        item=ItemId(f"i{k}"),
        text="good and cheap" if u % 2 else "bad and dear",
        rating=float(1 + 4 * (u % 2)),
        order=k,
    )
    for u in range(10)
    for k in range(3)
]
ITEMS = {ItemId(f"i{k}"): Item(id=ItemId(f"i{k}"), title=f"Thing {k}") for k in range(3)}


@pytest.fixture(autouse=True)
def checkpoint_after_every_step(monkeypatch):
    monkeypatch.setattr(pretraining, "SAVE_MINUTES", 0.0)


def run(folder, config=CONFIG, reviews=REVIEWS, **options):
    return pretrain(reviews, ITEMS, config=config, folder=folder, progress=False, **options)


def of_task(name):
    return CONFIG.model_copy(update={"documents": CONFIG.documents.model_copy(update={"task": name})})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backbone")
    return folder, run(folder, provenance={"store": "abc"})


def test_the_folder_is_an_ordinary_backbone(finished, make_context):
    folder, _ = finished
    assert {"config.json", "model.safetensors", "tokenizer.json", "pretrain.json"} <= {p.name for p in folder.iterdir()}
    assert not (folder / "checkpoints").exists()
    llm = TransformersLLM.load(BackboneConfig(model=str(folder), device="cpu"))
    assert llm.model.config.model_type == "qwen2"
    assert llm.model.config.eos_token_id == llm.prompts.end_id
    prompt = render("dep", make_context(2))
    assert len(llm.generate([prompt], SamplingParams(max_new_tokens=3))) == 1
    assert np.isfinite(llm.negative_log_likelihood([prompt], ["good"])).all()


def test_weights_are_stored_in_two_bytes(finished):
    assert {tensor.dtype for tensor in load_file(finished[0] / "model.safetensors").values()} == {torch.bfloat16}


def test_the_report_says_what_was_done_and_the_record_how(finished):
    folder, report = finished
    assert report.steps == 6
    assert report.documents == len(REVIEWS) - 5
    assert report.tokens_seen > 0
    assert 5e5 < report.parameters < 2e6
    assert 1 < report.held_out_perplexity < 420
    assert 1 < report.held_out_review_perplexity < 420
    assert math.isfinite(report.held_out_review_nats)
    record = json.loads((folder / "pretrain.json").read_text())
    assert PretrainConfig(**record["recipe"]) == CONFIG
    assert record["provenance"] == {"store": "abc"}
    assert [row["step"] for row in record["log"]] == list(range(1, 7))
    assert record["log"][-1]["loss"] < record["log"][0]["loss"]


def test_a_finished_run_is_read_back_without_training(finished, monkeypatch):
    folder, report = finished
    monkeypatch.setattr(transformers.Trainer, "train", lambda *_, **__: pytest.fail("it trained"))
    assert run(folder) == report


def test_a_backbone_of_a_version_without_tasks_has_read_reviews(finished, tmp_path):
    folder, report = finished
    shutil.copytree(folder, tmp_path / "old")
    path = tmp_path / "old" / "pretrain.json"
    record = json.loads(path.read_text())
    assert record["recipe"]["documents"].pop("task") == "review"
    assert "templates" not in record
    path.write_text(json.dumps(record))
    assert run(tmp_path / "old") == report
    with pytest.raises(ConfigError, match="its recipe changed"):
        run(tmp_path / "old", of_task("reply"))


def test_the_words_of_a_task_of_ones_own_belong_to_the_recipe(tmp_path):
    words = "text: toast\ntexts: toasts\na_text: a toast\nitem: wedding\nitems: weddings\nan_item: a wedding\n"
    task, folder = tmp_path / "toast.yaml", tmp_path / "run"
    task.write_text(words, encoding="utf-8")
    config = of_task(str(task)).model_copy(update={"max_steps": 1})
    assert run(folder, config) == run(folder, config)
    task.write_text(words.replace("a wedding", "a birthday"), encoding="utf-8")
    load_task.cache_clear()
    with pytest.raises(ConfigError, match="its templates changed"):
        run(folder, config)


def test_a_folder_of_another_recipe_or_other_text_is_refused(finished):
    folder, _ = finished
    with pytest.raises(ConfigError, match="its recipe changed"):
        run(folder, CONFIG.model_copy(update={"learning_rate": 1e-4}))
    with pytest.raises(ConfigError, match="its data changed"):
        run(folder, reviews=REVIEWS[:-1])


def test_a_run_goes_on_from_an_earlier_backbone(finished, tmp_path):
    first, _ = finished
    still = CONFIG.model_copy(update={"initial": str(first), "learning_rate": 0.0, "max_steps": 1, "size": "9m"})
    report = run(tmp_path / "next", still, REVIEWS[::-1])
    assert report.steps == 1
    assert (tmp_path / "next" / "tokenizer.json").read_bytes() == (first / "tokenizer.json").read_bytes()
    before, after = (load_file(folder / "model.safetensors") for folder in (first, tmp_path / "next"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert run(tmp_path / "next", still, REVIEWS[::-1]) == report


def test_an_earlier_backbone_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="nowhere"):
        run(tmp_path / "next", CONFIG.model_copy(update={"initial": str(tmp_path / "nowhere")}))
    assert not (tmp_path / "next").exists()


def interrupted_run(folder, monkeypatch, *, steps):
    class Interrupt(transformers.TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == steps:
                raise KeyboardInterrupt

    original = transformers.Trainer.train

    def train(self, *args, **kwargs):
        self.add_callback(Interrupt())
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(transformers.Trainer, "train", train)
        with pytest.raises(KeyboardInterrupt):
            run(folder)


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(finished, tmp_path, monkeypatch):
    interrupted_run(tmp_path, monkeypatch, steps=3)
    assert (tmp_path / "checkpoints" / "checkpoint-3" / "trainer_state.json").is_file()
    with pytest.raises(ConfigError, match="its recipe changed"):
        run(tmp_path, CONFIG.model_copy(update={"seed": 9}))
    began = []
    original = transformers.Trainer.train
    monkeypatch.setattr(
        transformers.Trainer,
        "train",
        lambda self, **options: began.append(options["resume_from_checkpoint"]) or original(self, **options),
    )
    report = run(tmp_path)
    assert began == [str(tmp_path / "checkpoints" / "checkpoint-3")]
    assert report.steps == 6
    straight, resumed = (load_file(folder / "model.safetensors") for folder in (finished[0], tmp_path))
    for name, tensor in straight.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0.02, atol=1e-3)


def test_a_half_written_checkpoint_is_passed_over(tmp_path, monkeypatch):
    interrupted_run(tmp_path, monkeypatch, steps=2)
    (tmp_path / "checkpoints" / "checkpoint-2" / "trainer_state.json").unlink()
    assert run(tmp_path).steps == 6


def test_an_attempt_that_came_to_nothing_leaves_the_folder_free(tmp_path):
    with pytest.raises(InputError, match="the budget is 10"):
        run(tmp_path, CONFIG.model_copy(update={"max_tokens": 50}))
    assert run(tmp_path, CONFIG.model_copy(update={"max_steps": 1})).steps == 1


def test_the_seed_decides_everything_and_nothing_global_changes(finished, tmp_path):
    torch.manual_seed(3)
    random.seed(3)
    before = torch.get_rng_state(), random.getstate()
    run(tmp_path)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    one, other = (load_file(folder / "model.safetensors") for folder in (finished[0], tmp_path))
    for name, tensor in one.items():
        # Threads may add in another order, which shows in the last bit of a bfloat16.
        torch.testing.assert_close(other[name], tensor, rtol=1e-2, atol=1e-4)


def test_checkpoints_print_nothing(tmp_path, capfd):
    run(tmp_path, CONFIG.model_copy(update={"max_steps": 2}))
    assert capfd.readouterr() == ("", "")


def test_too_few_reviews_are_refused(tmp_path):
    with pytest.raises(InputError, match="10 reviews are too few to pretrain on with 5 held out"):
        run(tmp_path, reviews=REVIEWS[:10])
    assert not list(tmp_path.iterdir())
