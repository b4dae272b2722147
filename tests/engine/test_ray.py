"""Bulk work on a cluster of two nodes: the same results as in one process, also if workers or the driver are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from idiolect.difference.bulk import differences
from idiolect.encoders import HashEncoder
from idiolect.engine import EngineError, RayEngine
from idiolect.errors import InputError
from idiolect.evaluation.runner import run_evaluate
from idiolect.store.embedding import embed_missing, embed_store
from idiolect.store.ingestion import ingest_files
from idiolect.store.parquet import export_folder
from idiolect.store.sql import SqlStore
from idiolect.types import ItemId, Review, ReviewId, UserId

pytest.importorskip("ray", reason="needs the extra ray: pip install 'idiolect[ray]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # a busy machine takes its time to start a cluster
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
]

HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)
import ray_work  # noqa: E402


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two nodes with one processor each; ``RAY_ADDRESS`` names it."""
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patched:
        paths = [HERE, *filter(None, [os.environ.get("PYTHONPATH")])]
        patched.setenv("PYTHONPATH", os.pathsep.join(paths))  # workers find ray_work
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.add_node(num_cpus=1)
        patched.setenv("RAY_ADDRESS", nodes.address)
        try:
            yield nodes.address
        finally:
            ray.shutdown()
            nodes.shutdown()


@pytest.fixture(scope="module")
def engine(cluster: str) -> RayEngine:
    return RayEngine()


def filled(path: Path, n: int = 60) -> str:
    """A store of ``n`` reviews by ten users about six items."""
    reviews = [
        Review(
            id=ReviewId(f"r{k}"),
            user=UserId(f"u{k % 10}"),
            item=ItemId(f"i{k % 6}"),
            text=f"text {k} " * (1 + k % 7),
            timestamp=k,
            order=k,
        )
        for k in range(n)
    ]
    with SqlStore(str(path)) as store:
        store.add([], reviews)
    return str(path)


def contents(path: str, encoder: str = "hash-v2-16") -> list[bytes]:
    """Vectors and sums, bit by bit."""
    with SqlStore(path, create=False) as store:
        ids = store.review_frame()["review_id"].to_list()
        sums = store.peer_sums([ItemId(f"i{k}") for k in range(6)], exclude=UserId("u1"), encoder=encoder)
        return [store.vectors(ids, encoder=encoder).tobytes(), sums.sums.tobytes(), sums.counts.tobytes()]


def test_results_are_in_order_and_from_both_nodes_and_a_killed_worker_costs_its_batch(engine, tmp_path):
    assert engine.workers == 2
    results = list(engine.map(partial(ray_work.squares, tmp_path), range(40)))
    assert [square for square, _ in results] == [task * task for task in range(40)]
    assert len({process for _, process in results}) == 3  # two, and the one that was killed
    assert (tmp_path / "squares").exists()


def test_a_stream_goes_on_where_its_killed_worker_was(engine, tmp_path):
    results = list(engine.flat_map(partial(ray_work.streams, tmp_path), range(4)))
    assert results == [(task, k) for task in range(4) for k in range(20)]
    assert (tmp_path / "streams").exists()


def test_a_batch_that_kills_every_worker_is_an_error(engine):
    with pytest.raises(EngineError, match="lost with its worker 3 times"):
        list(engine.map(ray_work.deadly, [1]))


def test_an_error_of_a_worker_is_raised_as_it_is(engine):
    with pytest.raises(InputError) as caught:
        list(engine.map(ray_work.refusing, [1]))
    assert (caught.value.message, caught.value.hint) == ("no such thing", "try another")


def test_vectors_and_sums_are_those_of_one_process(engine, tmp_path):
    one, two = filled(tmp_path / "one.db"), filled(tmp_path / "two.db")
    for path, how in ((one, {}), (two, {"engine": engine})):
        with SqlStore(path, create=False) as store:
            embed_missing(store, HashEncoder(16), chunk=7, **how)
    assert contents(one) == contents(two)


def test_files_that_workers_read_give_the_store_rejects_and_report_of_one_process(cluster, tmp_path):
    folder = tmp_path / "reviews"
    folder.mkdir()
    for number in range(3):
        rows = [
            {
                "user": f"u{k % 7}",
                "item": f"i{k % 5}",
                "text": f"file {number}, row {k}" * (k % 11 > 0),
                "rating": k % 6,
            }
            for k in range(2500)
        ]
        (folder / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    reports = [
        ingest_files(folder, store=str(tmp_path / f"{name}.db"), rejects=tmp_path / f"{name}.jsonl", engine=name)
        for name in ("local", "ray")
    ]
    one, two = (report.record() | {"rejects": None} for report in reports)
    assert one == two
    assert one["rejected"] == {"missing text": 3 * 228}
    assert (tmp_path / "local.jsonl").read_text() == (tmp_path / "ray.jsonl").read_text()
    frames = []
    for name in ("local", "ray"):
        with SqlStore(str(tmp_path / f"{name}.db"), create=False) as store:
            frames.append((store.fingerprint(), store.review_frame()))
    assert frames[0][0] == frames[1][0]
    assert frames[0][1].equals(frames[1][1])


def test_sums_and_differences_are_those_of_one_process(engine, tmp_path):
    path = filled(tmp_path / "store.db", 400)
    embed_store(path, "hash:16")
    export_folder(path, tmp_path / "export")
    reports = [
        differences(tmp_path / "export", tmp_path / name, bucket_rows=100, **how)
        for name, how in (("one", {}), ("two", {"engine": engine}))
    ]
    assert reports[0] == reports[1]
    files = sorted(path.name for path in (tmp_path / "one").glob("*.parquet"))
    assert len(files) == 2 * 4 + 2
    for name in files:
        assert pq.read_table(tmp_path / "one" / name).equals(pq.read_table(tmp_path / "two" / name))


def test_an_evaluation_is_that_of_one_process_also_if_a_worker_is_killed(cluster, job, tmp_path):
    """Texts and likelihoods of a model in the workers, and of DRP's stages by another one there."""
    fake = {"backbone": {"model": "fake", "backend": "fake"}}
    fragile = {"backbone": {"model": str(tmp_path), "backend": "ray_work:FragileLLM"}}
    mark = tmp_path / "model"
    mark.write_text("")  # this process is not to end
    backbone = {**job.settings["backbone"], "model": str(job.backbone), "device": "cpu", "batch_size": 2}
    changes = {**job.settings, "methods": ["drp"], "backbone": backbone, "token_classes": True}
    changes |= {"differences": {"extractor": fragile, "summarizer": fake}}
    rows = {}
    for name in ("local", "ray"):
        run_evaluate(job.store, job.split, tmp_path / name, changes=changes, engine=name)
        if name == "local":
            mark.unlink()
        files = sorted((tmp_path / name / "samples").iterdir())
        rows[name] = {file.name: [json.loads(line) for line in file.read_text().splitlines()] for file in files}
    assert rows["local"].keys() == rows["ray"].keys()
    assert len(rows["local"]) >= 3
    assert mark.exists()
    for name, expected in rows["local"].items():
        for one, two in zip(expected, rows["ray"][name], strict=True):
            assert one["text"] == two["text"]
            np.testing.assert_allclose(one["nll"], two["nll"], rtol=1e-5)


def kill_driver(command: list[str], seen: Callable[[], bool]) -> None:
    """Start a driver, and kill it when something is seen."""
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not seen() and driver.poll() is None:
        time.sleep(0.01)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL, "it ended before"


def finished(folder: Path, pattern: str) -> dict[str, tuple[int, int]]:
    """Files by name, and what changes if one is written again."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob(pattern)}


def test_a_killed_driver_of_embed_loses_at_most_the_batches_under_way(cluster, tmp_path):
    one, two = filled(tmp_path / "one.db", 6000), filled(tmp_path / "two.db", 6000)
    command = [sys.executable, "-m", "idiolect.cli.main", "embed", "--store", two, "--encoder", "ray_work:slow"]

    def begun() -> bool:
        with SqlStore(two, create=False) as store:
            return "hash-v2-16" in store.encoders()

    kill_driver([*command, "--engine", "ray", "--quiet"], begun)
    with SqlStore(two, create=False) as store:
        before = len(store.missing_vectors("hash-v2-16"))
    assert 0 < before < 6000
    report = embed_store(two, "ray_work:slow", engine="ray")
    assert report.embedded == before
    embed_store(one, "ray_work:slow")
    assert contents(one) == contents(two)
    np.testing.assert_equal(report.known, 6000 - before)


def test_a_driver_of_differences_that_is_killed_in_both_stages_leaves_what_is_finished(cluster, tmp_path):
    path = filled(tmp_path / "store.db", 4000)
    embed_store(path, "hash:16")
    export, out = tmp_path / "export", tmp_path / "out"
    export_folder(path, export)
    command = [sys.executable, "-c", f"import ray_work; ray_work.compare({str(export)!r}, {str(out)!r})"]
    kill_driver(command, lambda: len(finished(out, "scatter/reviews-*.arrow")) >= 3)
    scattered = finished(out, "scatter/*.arrow")
    assert len(scattered) < 40
    assert not finished(out, "sums-*.parquet")
    kill_driver(command, lambda: len(finished(out, "sums-*.parquet")) >= 3)
    assert scattered.items() <= finished(out, "scatter/*.arrow").items()
    sums = finished(out, "sums-*.parquet")
    compared = finished(out, "differences-*.parquet")
    assert len(sums) < 40
    subprocess.run(command, check=True)
    assert sums.items() <= finished(out, "sums-*.parquet").items()
    done = {name.replace("sums", "differences") for name in sums}
    assert {name: compared[name] for name in done}.items() <= finished(out, "differences-*.parquet").items()
    differences(export, tmp_path / "one", bucket_rows=100)
    files = [sorted(path.name for path in folder.iterdir()) for folder in (tmp_path / "one", out)]
    assert files[0] == files[1]
    for name in files[0]:
        assert (tmp_path / "one" / name).read_bytes() == (out / name).read_bytes()


def test_a_killed_driver_of_evaluate_keeps_the_finished_conditions(cluster, job, tmp_path):
    asked, out, settings = tmp_path / "asked", tmp_path / "ray", tmp_path / "settings.yaml"
    asked.mkdir()
    backbone = {**job.settings["backbone"], "model": str(asked), "backend": "ray_work:SlowLLM", "batch_size": 2}
    changes = {**job.settings, "methods": ["pag"], "backbone": backbone}
    settings.write_text(json.dumps(changes))
    command = [sys.executable, "-m", "idiolect.cli.main", "evaluate", "--store", job.store, "--split", str(job.split)]
    command += ["--out", str(out), "--config", str(settings), "--engine", "ray", "--quiet"]
    kill_driver(command, lambda: len(finished(out, "samples/*.jsonl")) >= 2)
    before, first = finished(out, "samples/*"), {path.name for path in asked.iterdir()}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = finished(out, "samples/*.jsonl")
    assert len(before) < len(after)
    assert before.items() <= after.items()
    again = {name for path in asked.iterdir() if path.name not in first for name in path.read_text().split()}
    run_evaluate(job.store, job.split, tmp_path / "local", changes=changes)
    prompts = (asked / str(os.getpid())).read_text().split()
    assert again <= set(prompts)
    assert not again & set(prompts[: 2 * 6])  # of the two methods that were finished
    for name in after:
        assert (out / "samples" / name).read_bytes() == (tmp_path / "local" / "samples" / name).read_bytes()
    tables = [json.loads((folder / "results.json").read_text()) for folder in (tmp_path / "local", out)]
    for table in tables:
        del table["seconds"], table["provenance"]
    assert tables[0] == tables[1]
