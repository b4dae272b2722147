"""The whole study as one resumable command: worlds, sanity check, adapters, runs, probes, report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from idiolect.encoders import load_encoder
from idiolect.errors import ArtifactError, ConfigError, require
from idiolect.experiments.study.arms import SeedWorld, adapter_folder, fit_arm, open_seed, run_rows
from idiolect.experiments.study.arrays import adapter_codes
from idiolect.experiments.study.config import StudyConfig
from idiolect.experiments.study.probes import run_probes
from idiolect.experiments.study.report import RecordedStudy, Section, sections, seed_fidelity
from idiolect.experiments.study.sanity_check import run_sanity_check
from idiolect.llm.transformers import TransformersLLM
from idiolect.pipeline import results
from idiolect.store.outputs import check_own

Say = Callable[[str], None]
RESULT, REPORT, SANITY_CHECK, CLAIM = "study.json", "report.md", "sanity_check.json", "claim.json"


@dataclass(frozen=True, slots=True, eq=False)
class StudyReport:
    """What the study found."""

    record: Mapping[str, Any]
    """What ``study.json`` holds."""
    sections: tuple[Section, ...]
    folder: Path


def run_study(folder: Path, config: StudyConfig, *, jobs: int = 1, say: Say) -> StudyReport:
    """Everything the configuration asks for; what an earlier call finished is not done again.

    Args:
        folder: Gets a folder a seed, ``study.json``, ``report.md`` and the figures.
        config: The study.
        jobs: Seeds that are run at once, each in a process of its own; at least 1.
        say: Called with one line per step.

    Raises:
        ConfigError: ``folder`` holds another study or other files, or the sanity check fails.
        MissingDependencyError: matplotlib is not installed.
    """
    if jobs < 1:
        raise ConfigError(f"jobs must be 1 or more (got {jobs})")
    started = time.monotonic()
    require("matplotlib", extra="plots")  # before the work, not after it
    check_own(folder, "study")
    llm = TransformersLLM.load(config.settings.backbone)
    depends = {"config": config.model_dump(mode="json"), "backbone": llm.name}
    results.claim(folder / CLAIM, depends, "study", StudyConfig)
    say(f"sanity check: can {llm.name} be steered by the truth?")
    sanity_check = _sanity_check(folder, config, llm, say)
    if not sanity_check["passed"] and config.sanity_check.required:
        raise ConfigError(
            f"the sanity check failed ({_gains(sanity_check)}): the backbone is not steered by the truth",
            hint="pretrain it longer, or set sanity_check.required=false",
        )
    seconds = dict(zip(config.seeds, _each_seed(folder, config, jobs, say), strict=True))
    say("probes: can the true effects be predicted from the vectors?")
    probes = _probes(folder, config, say)
    say("report")
    folders = {seed: folder / f"seed-{seed}" for seed in config.seeds}
    fidelity = {seed: seed_fidelity(_open(folder, config, seed), config) for seed in config.seeds}
    found = tuple(sections(config, folders, fidelity))
    record = {
        "status": "complete",
        "config": config.model_dump(mode="json"),
        "backbone": llm.name,
        "sanity_check": sanity_check,
        "sections": [section.to_dict() for section in found],
        "probes": probes,
        "seconds": {"seeds": seconds, "this call": round(time.monotonic() - started, 1)},
        "device": results.device(),
        "versions": results.versions(),
    }
    results.write_json(folder / RESULT, record)
    head = ["# The sandbox study", f"Sanity check: {_gains(sanity_check)}."]
    text = "\n\n".join([*head, *(section.to_markdown() for section in found)])
    (folder / REPORT).write_text(text, encoding="utf-8")
    RecordedStudy(record).draw(folder)
    return StudyReport(record, found, folder)


def _each_seed(folder: Path, config: StudyConfig, jobs: int, say: Say) -> list[dict[str, float]]:
    if jobs == 1:
        return [run_seed(folder, config, seed, say) for seed in config.seeds]
    # Spawned, not forked: torch's threads do not survive a fork.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_single_thread) as pool:
        return list(pool.map(run_seed, *zip(*((folder, config, seed) for seed in config.seeds), strict=True)))


def run_seed(folder: Path, config: StudyConfig, seed: int, say: Say = print) -> dict[str, float]:
    """One seed's adapters and runs.

    Returns:
        Seconds a step of the seed took; near 0 where an earlier call had done it.
    """
    world, llm = _open(folder, config, seed), TransformersLLM.load(config.settings.backbone)
    seconds: dict[str, float] = {}
    for arm in config.arms_of(seed):
        say(f"seed {seed}: fitting {arm.id}")
        started = time.monotonic()
        fit_arm(world, llm, config, arm)
        seconds[str(arm.id)] = round(time.monotonic() - started, 1)
    say(f"seed {seed}: methods and controls")
    started = time.monotonic()
    run_rows(world, llm, config)
    return {**seconds, "methods and controls": round(time.monotonic() - started, 1)}


def _open(folder: Path, config: StudyConfig, seed: int) -> SeedWorld:
    return open_seed(folder / f"seed-{seed}", seed, config, load_encoder(config.settings.encoder))


def _sanity_check(folder: Path, config: StudyConfig, llm: TransformersLLM, say: Say) -> dict[str, Any]:
    path = folder / SANITY_CHECK
    if not path.is_file():
        results.write_json(path, run_sanity_check(_open(folder, config, config.seeds[0]), llm, config).to_dict())
    found = results.read_json(path)
    if not {"passed", "gains", "threshold"} <= found.keys():
        raise ArtifactError(f"{str(path)!r} is damaged", hint="delete it, and run the same command again")
    say(f"sanity check {'passed' if found['passed'] else 'failed'}: {_gains(found)}")
    return found


def _gains(found: Mapping[str, Any]) -> str:
    gains = (
        f"{name} {gain['difference']:+.2f} nats [{gain['low']:+.2f}, {gain['high']:+.2f}]"
        for name, gain in found["gains"].items()
    )
    return f"{', '.join(gains)}, each to be at least {found['threshold']:g}"


def _probes(folder: Path, config: StudyConfig, say: Say) -> dict[str, Any]:
    seed = config.seeds[0]
    arm = next((arm.id for arm in config.arms if arm.main), None)
    where = adapter_folder(_open(folder, config, seed), arm) if arm else None
    found = run_probes(
        config.world.model_copy(update={"seed": seed}),
        load_encoder(config.settings.encoder),
        folder / "probes",
        config.probes,
        codes=adapter_codes(where) if where else None,
        say=say,
    )
    return found.to_dict()


def _single_thread() -> None:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
