"""Fixtures every test may use."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"  # no test reaches a network, nor waits for one

# No deadline per example, because it would make results depend on the load of the machine.
settings.register_profile("idiolect", settings(), deadline=None, max_examples=50)  # the suite has ten minutes
settings.load_profile("idiolect")


def pytest_configure() -> None:
    """Let Ctrl-C interrupt: a shell script starts what it runs in the background with Ctrl-C ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests may take as long as a loaded machine needs: the time limit is for what hangs."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data and golden numbers beside the checkout; tests that need it skip without it."""
    folder = Path(os.environ.get("IDIOLECT_SHARED", Path(__file__).parents[1].parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"reference data not present: {folder} (set IDIOLECT_SHARED)")
    return folder


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    """Numbers that the papers' authors' programs produce."""
    return shared / "golden"


@dataclass(frozen=True, slots=True)
class Job:
    """A store, a split and a backbone, and settings with which everything takes moments."""

    folder: Path
    store: str
    split: Path
    backbone: Path
    settings: dict[str, Any]
    thresholds: dict[str, int]
    """Of the split."""


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """The main job up to fitting, on a world of 14 users; never change what it points to."""
    from idiolect.experiments.world import store_world
    from idiolect.pipeline.commands import pretrain_backbone
    from idiolect.sandbox.domain import WorldConfig
    from idiolect.store.embedding import embed_store
    from idiolect.store.splitting import split_store

    folder = tmp_path_factory.mktemp("job")
    store, thresholds = str(folder / "reviews.db"), {"min_item_users": 2, "min_user_reviews": 6, "min_peers": 2}
    thresholds |= {"min_profile": 2, "min_text_chars": 20}
    store_world(store, WorldConfig(seed=3, n_users=14, n_items=12, reviews_per_user=(8, 9), words=20))
    split_store(store, folder / "split", preset="small", changes=thresholds)
    embed_store(store, "hash:48")
    recipe = {"size": "1m", "vocab_size": 1000, "max_steps": 3, "held_out": 5, "tokens_per_step": 1024}
    pretrain_backbone(store, folder / "lm", split=folder / "split", changes={**recipe, "max_tokens": 640})
    settings = {
        "encoder": "hash:48",
        "backbone": {"max_prompt_tokens": 512, "batch_size": 8},
        "context": {"k": 2},
        "targets": {"max_validation": 2, "max_test": 6},
        "fit": {"batch_size": 4, "max_steps": 3, "metric": "nll"},
        "sampling": {"max_new_tokens": 6},
        "metrics": ["rougeL"],
        "resamples": 100,
    }
    return Job(folder, store, folder / "split", folder / "lm", settings, thresholds)


_BARE = """
import sys
from idiolect.cli.main import main
from idiolect.diagnostics import _EXTRAS

HIDDEN = {module for _, modules in _EXTRAS.values() for module in modules}

class Finder:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Finder, sys.meta_path)
main(sys.argv[1:])
"""


@pytest.fixture(scope="session")
def bare() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command in an interpreter that finds no package of any extra: ``bare("demo", "--json")``."""

    def run(*told: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", _BARE, *told], capture_output=True, text=True, encoding="utf-8")

    return run


@pytest.fixture(scope="session")
def tiny_backbone() -> Callable[..., Any]:
    """Makes a causal language model of 2 layers, hidden size 32, vocabulary 64: ``tiny_backbone("qwen2")``.

    Families: qwen2, llama, gpt2. The weights are random and the same at every call.
    """
    import torch
    import transformers as tf

    modern = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_key_value_heads": 2}
    # Wide enough for the input to show in the output.
    spread = {"vocab_size": 64, "initializer_range": 0.3}
    modern |= {"num_attention_heads": 4, "max_position_embeddings": 128}
    families = {
        "qwen2": lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**spread, **modern)),
        "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**spread, **modern)),
        "gpt2": lambda: tf.GPT2LMHeadModel(
            tf.GPT2Config(
                **spread, bos_token_id=None, eos_token_id=None, n_embd=32, n_layer=2, n_head=4, n_positions=128
            )
        ),
    }

    def make(family: str = "qwen2") -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return families[family]().eval()

    return make


@pytest.fixture(scope="session")
def make_context() -> Callable[..., Any]:
    """Makes a context with ``n`` past reviews: ``make_context(3, no_diff=[1], words=40, rating=None)``.

    Entry k is review ``r{k}`` of item ``i{k}`` with ``e_his`` filled with k + 1 and ``e_diff`` with -(k + 1). Further
    arguments are fields of the sample.
    """
    import numpy as np

    from idiolect.context import Context, Entry
    from idiolect.types import Item, Review, Sample

    def entry(k: int, dim: int, words: int, no_diff: bool) -> Entry:
        review = Review(
            id=f"r{k}",
            user="u",
            item=f"i{k}",
            text=f"Past words {k}" + " and more" * (words // 2),
            rating=1.0 + k / 2,
            title=f"Past title {k}",
        )
        vector = np.full(dim, k + 1, dtype=np.float32)
        item = Item(id=review.item, title=f"Past item {k}", description=f"Past description {k}")
        return Entry(review=review, item=item, e_his=vector, e_diff=None if no_diff else -vector, n_peers=1 - no_diff)

    def make(n: int = 2, *, no_diff: Any = (), dim: int = 12, words: int = 4, **sample: Any) -> Context:
        asked = {"user": "u", "item": "i", "rating": 4.5, "title": "New title", **sample}
        return Context(
            sample=Sample(**asked),
            item=Item(id=asked["item"], title="New item", description="New description"),
            entries=tuple(entry(k, dim, words, k in no_diff) for k in range(n)),
        )

    return make


@pytest.fixture(scope="session")
def tiny_tokenizer(make_context: Callable[..., Any]) -> Any:
    """A tokenizer of our own making (Qwen2's chat markup) that knows the prompts' words; never change it."""
    from idiolect.prompts.rendering import render
    from idiolect.training.pretrain import train_tokenizer

    prompts = [render(name, make_context(3)) for name in ("nonpersonalized", "rag", "dep")]
    return train_tokenizer([m.text for prompt in prompts for m in prompt.messages] * 2, vocab_size=420)


@pytest.fixture(scope="session")
def tiny_llm(tiny_tokenizer: Any) -> Callable[..., Any]:
    """Makes a ``TransformersLLM`` of 2 layers, hidden size 32: ``tiny_llm("llama", batch_size=3)``."""
    import torch
    import transformers as tf

    from idiolect.llm.transformers import TransformersLLM

    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_key_value_heads": 2}
    shape |= {"num_attention_heads": 4, "max_position_embeddings": 2048, "vocab_size": len(tiny_tokenizer)}
    # Wide enough for the input to show in the output.
    shape |= {"initializer_range": 0.3, "bos_token_id": None, "eos_token_id": None}
    small = {"vocab_size": len(tiny_tokenizer), "initializer_range": 0.3, "bos_token_id": None, "eos_token_id": None}
    families = {
        "qwen2": lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**shape)),
        "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**shape)),
        "gpt2": lambda: tf.GPT2LMHeadModel(tf.GPT2Config(**small, n_embd=32, n_layer=2, n_head=4, n_positions=2048)),
    }

    def make(family: str = "qwen2", **settings: Any) -> TransformersLLM:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = families[family]()
        return TransformersLLM(model, tiny_tokenizer, name=family, **settings)

    return make


def _postgres_programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``, which Debian keeps off the path."""
    known = [Path(found).parent] if (found := shutil.which("initdb")) else []
    known += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(known) if (folder / "initdb").is_file()), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Makes an empty database and gives its URL; on a server of the tests' own, without a network port."""
    psycopg, programs = pytest.importorskip("psycopg"), _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL's programs are not installed (Debian: postgresql)")
    # The server refuses to run as root.
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: the path of a socket may have about 100 characters
    if as_user:
        shutil.chown(folder, "postgres")

    def call(program: str, *arguments: str) -> None:
        subprocess.run([*as_user, str(programs / program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/")

    made = 0

    def make() -> str:
        nonlocal made
        made += 1
        with closing(psycopg.connect(f"postgresql://tester@/postgres?host={folder}", autocommit=True)) as server:
            server.execute(f"CREATE DATABASE t{made}")
        return f"postgresql://tester@/t{made}?host={folder}"

    settings = f"-k {folder} -c listen_addresses= -c fsync=off -c shared_buffers=16MB"
    try:
        call("initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "tester", "--no-sync", "-E", "UTF8")
        call("pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log", "-o", settings, "start")
        yield make
    finally:
        call("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
