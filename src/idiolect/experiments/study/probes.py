"""What the probes found, as plain values: written to JSON by the study, read by figures and the demo.

The study's linear probes: how well differences predict the ground truth of users, compared with history alone.

A user is a mean over some of their reviews. Item effects partly cancel in that mean, the more so the more reviews it is
taken over, so where reviews are few differences add most in proportion to what history tells; the curve over anchors
shows it. Where the encoder sees little of a trait, one review tells little either way, and the gain in R2 is small too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from idiolect.config import Config
from idiolect.difference.latent import Differences
from idiolect.encoders import Encoder
from idiolect.errors import ArtifactError, ConfigError
from idiolect.evaluation.probe import Recovery, probe
from idiolect.evaluation.significance import Bootstrapped, compare, interval
from idiolect.experiments.study.arrays import (
    SAECodes,
    WorldArrays,
    draw_anchors,
    load_world_arrays,
    sampled_differences,
    shuffled_pools,
)
from idiolect.pipeline.results import write_json
from idiolect.sandbox.world import World, WorldConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number and its 95 % bootstrap interval over held-out users."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A paired difference of two inputs' mean R2."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided, not corrected for other comparisons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """All probes of one world at one setting."""

    users: int
    """Who was probed: all with enough reviews that have peers."""
    anchors: int
    """Reviews averaged per user."""
    peers: int | None
    """Most peers a review was compared with; None: all."""
    mean_peers: float
    """Peers an anchor really was compared with, on average."""
    scores: dict[str, Estimate]
    """R2 by input, mean over traits."""
    traits: dict[str, dict[str, Estimate]]
    """R2 by input and trait."""
    gaps: dict[str, Gap]
    """By ``"one - other"``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResults:
    """All curves; the points of a curve are in the order of its settings."""

    encoder: str
    codes: str | None
    """Whose codes are ``z_his`` and ``z_diff``."""
    world: dict[str, Any]
    """Configuration of the main world."""
    config: dict[str, Any]
    """Configuration of the probes."""
    settings: dict[str, list[float | None]]
    """By curve: the knob's values; None is all peers."""
    curves: dict[str, list[Point]]
    """``anchors``, ``peers``, ``confounding`` and ``noise``."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and strings."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ProbeResults:
        """What ``to_dict`` gave, from JSON or not.

        Raises:
            ArtifactError: It is something else.
        """
        return _read(_RESULTS, data)


def read_point(data: Any) -> Point:
    """A point from plain values.

    Raises:
        ArtifactError: It is something else.
    """
    return _read(_POINT, data)


_RESULTS, _POINT = TypeAdapter(ProbeResults), TypeAdapter(Point)


def _read(adapter: TypeAdapter[Any], data: Any) -> Any:
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        raise ArtifactError(f"not a record of probes: {error}", hint="run the probes again") from error


GAPS = (("e_diff", "e_his"), ("both", "e_diff"), ("shuffled", "e_his"), ("e_diff", "shuffled"), ("z_diff", "z_his"))
"""Pairs of inputs that are compared."""

_VERSION = 1
"""Of how a point is computed; points of other versions are computed again."""


class ProbeConfig(Config):
    """Which probes, on how much."""

    n_users: int = Field(default=1000, ge=20)
    """Users of the main world: the curves over anchors and peers."""
    curve_users: int = Field(default=400, ge=20)
    """Users of the worlds that are made anew for confounding and noise."""
    anchors: tuple[int, ...] = Field(default=(1, 2, 4, 8), min_length=1)
    """Reviews averaged per user. Users with fewer than the most of these are left out everywhere."""
    peers: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Peers a review is compared with; all of them is always the last point."""
    confounding: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5)
    """Factors of ``genre_sd`` and ``item_sd``."""
    noise_sd: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    """A review's own deviation, logits."""
    curve_anchors: int = Field(default=4, ge=1)
    """Reviews a user in the curves over anything else."""
    draws: int = Field(default=12, ge=1)
    """Random choices of a user's reviews that probes are fitted on and scores averaged over."""
    folds: int = Field(default=5, ge=3)
    """Parts of the users; each is held out once."""
    resamples: int = Field(default=1000, ge=1)
    """Bootstrap resamples of users."""
    seed: int = Field(default=0, ge=0)
    """Of all choices the probes make."""

    @property
    def most_anchors(self) -> int:
        """Reviews a user must have to be probed."""
        return max(*self.anchors, self.curve_anchors)


def run_probes(
    world: WorldConfig,
    encoder: Encoder,
    cache: Path,
    config: ProbeConfig | None = None,
    *,
    codes: SAECodes | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> ProbeResults:
    """All curves of one world; what an earlier call left in ``cache`` is not computed again.

    Args:
        world: The main world; its number of users is the configuration's.
        encoder: Of the reviews' texts.
        cache: A folder, created if absent: vectors a world, one JSON a point.
        config: Which probes; None: the defaults.
        codes: Gives ``z_his`` and ``z_diff``; None: these inputs are left out.
        say: Called with a line per point.

    Raises:
        InputError: Too few users have enough reviews.
        ArtifactError: A file in ``cache`` is damaged.
    """
    config = config or ProbeConfig()
    main = world.model_copy(update={"n_users": config.n_users})
    small = world.model_copy(update={"n_users": config.curve_users})
    bench = _Bench(encoder, cache, config, codes, say)
    at = config.curve_anchors
    settings: dict[str, list[float | None]] = {
        "anchors": list(config.anchors),
        "peers": [*config.peers, None],
        "confounding": list(config.confounding),
        "noise": list(config.noise_sd),
    }
    curves = {
        "anchors": [bench.point(main, anchors) for anchors in config.anchors],
        "peers": [bench.point(main, at, peers) for peers in (*config.peers, None)],
        "confounding": [bench.point(_confounded(small, factor), at) for factor in config.confounding],
        "noise": [bench.point(small.model_copy(update={"noise_sd": sd}), at) for sd in config.noise_sd],
    }
    return ProbeResults(
        encoder=encoder.name,
        codes=codes.name if codes else None,
        world=main.model_dump(mode="json"),
        config=config.model_dump(mode="json"),
        settings=settings,
        curves=curves,
    )


def measure(
    arrays: WorldArrays, config: ProbeConfig, *, anchors: int, peers: int | None = None, codes: SAECodes | None = None
) -> Point:
    """Probe every input of one world at one setting.

    All settings share folds, resamples and draws: fewer anchors are a part of more.

    Args:
        arrays: The world.
        config: Draws, folds, resamples and seed.
        anchors: Reviews averaged per user, at most ``config.most_anchors``.
        peers: Most peers of a review; None: all.
        codes: Gives ``z_his`` and ``z_diff``.

    Raises:
        ConfigError: More anchors than users are required to have.
        InputError: Too few users have enough reviews.
    """
    if not 1 <= anchors <= config.most_anchors:
        raise ConfigError(f"{anchors} anchors of users with {config.most_anchors}", hint="raise ProbeConfig.anchors")
    compared = arrays.differences.n_peers > 0
    drawn = draw_anchors(
        arrays.users, compared, config.most_anchors, n_draws=config.draws, rng=np.random.default_rng([config.seed, 0])
    )
    rows = drawn.rows[:, :, :anchors]
    differences, inputs = _inputs(arrays, peers, config.seed, codes)
    features = {name: _means(vectors, rows) for name, vectors in inputs.items()}
    features["both"] = np.concatenate([features["e_his"], features["e_diff"]], axis=2)
    found = probe(
        features,
        arrays.effects[drawn.users],
        rng=np.random.default_rng([config.seed, 1]),
        n_folds=config.folds,
        resamples=config.resamples,
    )
    return Point(
        users=len(drawn.users),
        anchors=anchors,
        peers=peers,
        mean_peers=float(differences.n_peers[rows].mean()),
        scores={name: _estimate(recovery.mean) for name, recovery in found.items()},
        traits={name: dict(zip(arrays.traits, map(_estimate, r.traits), strict=True)) for name, r in found.items()},
        gaps={f"{a} - {b}": _gap(found[a], found[b]) for a, b in GAPS if a in found and b in found},
    )


class _Bench:
    """Points by setting: from the cache, else measured and kept there."""

    def __init__(
        self, encoder: Encoder, cache: Path, config: ProbeConfig, codes: SAECodes | None, say: Callable[[str], None]
    ) -> None:
        self._encoder, self._cache, self._config, self._codes, self._say = encoder, cache, config, codes, say
        self._arrays: dict[str, WorldArrays] = {}
        cache.mkdir(parents=True, exist_ok=True)

    def point(self, world: WorldConfig, anchors: int, peers: int | None = None) -> Point:
        arrays, path = self._world_arrays(world), self._path(world, anchors, peers)
        if not path.is_file():
            point = measure(arrays, self._config, anchors=anchors, peers=peers, codes=self._codes)
            write_json(path, asdict(point))
        try:
            point = read_point(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, ArtifactError) as error:
            raise ArtifactError(f"{str(path)!r} is damaged: {error}", hint="delete it") from error
        shown = ", ".join(f"{name} {score.value:.3f}" for name, score in point.scores.items())
        self._say(f"{anchors} anchors, {'all' if peers is None else peers} peers, {point.users} users: R2 {shown}")
        return point

    def _world_arrays(self, world: WorldConfig) -> WorldArrays:
        """The last two worlds are kept: neighbouring points of a curve share theirs."""
        key = world.model_dump_json()
        if key not in self._arrays:
            self._arrays = dict([*self._arrays.items()][-1:])
            self._arrays[key] = load_world_arrays(World(world), self._encoder, self._cache)
        return self._arrays[key]

    def _path(self, world: WorldConfig, anchors: int, peers: int | None) -> Path:
        """Named by all that a point depends on."""
        config = self._config
        depends = [_VERSION, self._world_arrays(world).fingerprint, anchors, peers, self._codes and self._codes.name]
        depends += [config.most_anchors, config.draws, config.folds, config.resamples, config.seed]
        digest = blake2b(json.dumps(depends).encode(), digest_size=12).hexdigest()
        return self._cache / f"point-{digest}.json"


def _confounded(world: WorldConfig, factor: float) -> WorldConfig:
    return world.model_copy(update={"genre_sd": factor * world.genre_sd, "item_sd": factor * world.item_sd})


def _inputs(
    arrays: WorldArrays, peers: int | None, seed: int, codes: SAECodes | None
) -> tuple[Differences, dict[str, np.ndarray]]:
    """The differences of every review, and all vectors by input, (n_reviews, dim) each."""
    vectors, users, items = arrays.vectors, arrays.users, arrays.items
    true, wrong = (np.random.default_rng([seed, stream]) for stream in (2, 3))
    found = arrays.differences if peers is None else sampled_differences(vectors, users, items, k=peers, rng=true)
    pools = shuffled_pools(items, arrays.categories, rng=wrong)
    shuffled = sampled_differences(vectors, users, items, pools=pools, k=peers, rng=wrong)
    inputs = {"e_his": vectors, "e_diff": found.diff, "shuffled": shuffled.diff}
    if codes:
        e = {"his": vectors, "diff": found.diff}
        inputs |= {f"z_{stream}": codes.encode(e[stream].astype(np.float32), stream) for stream in codes.streams}
    return found, inputs


def _means(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """float32 (n_draws, n_users, dim): the mean of each user's anchors, one anchor at a time to hold little."""
    total = vectors[rows[:, :, 0]].astype(np.float32)
    for anchor in range(1, rows.shape[2]):
        total += vectors[rows[:, :, anchor]]
    return total / rows.shape[2]


def _estimate(score: Bootstrapped) -> Estimate:
    return Estimate(**interval(score)._asdict())


def _gap(one: Recovery, other: Recovery) -> Gap:
    found = compare(one.mean, other.mean)
    return Gap(value=found.difference, low=found.low, high=found.high, p=found.p)
