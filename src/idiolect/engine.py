"""Engines for bulk work: this process, or the workers of a Ray cluster. Results are the same and in the same order.

A task is a batch that can be computed again. A worker that is lost costs the batches it had: they go to another one.
What is finished lands in the caller's store or folder, so that a caller that is killed continues there.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import islice
from typing import Any, Literal, Protocol, TypeVar

from idiolect.errors import ConfigError, IdiolectError, require
from idiolect.version import __version__

T = TypeVar("T")
R = TypeVar("R")
EngineName = Literal["local", "ray"]


class EngineError(IdiolectError):
    """The engine cannot do the work, for instance because workers are lost again and again."""

    exit_code = 9


class Engine(Protocol):
    """Computes tasks."""

    @property
    def workers(self) -> int:
        """Tasks that are computed at once."""
        ...

    def map(self, make: Callable[[], Callable[[T], R]], tasks: Iterable[T], *, gpu: bool = False) -> Iterator[R]:
        """The result of every task, in their order.

        Args:
            make: Makes the function of a worker; called once per worker, for instance to load a model.
            tasks: Read as far as workers need them.
            gpu: Whether the function uses a GPU if there is one.

        Raises:
            EngineError: A task was lost with its worker several times.
        """
        ...

    def flat_map(self, make: Callable[[], Callable[[T], Iterator[R]]], tasks: Iterable[T]) -> Iterator[R]:
        """All results of every task, in their order; a worker gives them one by one.

        Args:
            make: Makes the function of a worker. What it returns for a task is always the same.
            tasks: Read as far as workers need them.

        Raises:
            EngineError: A task was lost with its worker several times.
        """
        ...


class LocalEngine:
    """Computes everything in this process, each task when its result is asked for."""

    workers = 1

    def map(self, make: Callable[[], Callable[[T], R]], tasks: Iterable[T], *, gpu: bool = False) -> Iterator[R]:
        """See ``Engine``."""
        work = make()
        return (work(task) for task in tasks)

    def flat_map(self, make: Callable[[], Callable[[T], Iterator[R]]], tasks: Iterable[T]) -> Iterator[R]:
        """See ``Engine``."""
        work = make()
        return (result for task in tasks for result in work(task))


LOCAL = LocalEngine()


def open_engine(name: EngineName, *, workers: int | None = None, share: float = 1) -> Engine:
    """The engine of a setting.

    Args:
        name: ``local``; or ``ray``: the cluster at ``RAY_ADDRESS`` or, without it, one that is started on this machine.
        workers: Of a Ray cluster; None: one per processor (per GPU, for work that uses one).
        share: See ``RayEngine``.

    Raises:
        MissingDependencyError: Ray is not installed.
        ConfigError: There is no cluster at that address.
    """
    return RayEngine(workers, share=share) if name == "ray" else LOCAL


_TRIES = 3
"""Workers that a task may lose before it is taken to be the cause."""
_AHEAD = 2
"""Tasks that a worker has at once, so that it need not wait for the next."""
_UNREAD = 4
"""Results of a stream that wait to be read."""


@dataclass(slots=True, eq=False)
class _Job:
    """A task on its way."""

    task: Any
    worker: Any = None
    ref: Any = None
    losses: int = 0
    done: bool = False
    result: Any = None


@dataclass(slots=True, eq=False)
class _Slot:
    """A worker and its jobs."""

    actor: Any
    jobs: list[_Job] = field(default_factory=list)


class RayEngine:
    """Computes tasks in Ray actors, one per processor or GPU.

    Every node needs this version of the library, and the files that tasks name.

    Args:
        workers: Number of actors; None: as many as the cluster has processors, or GPUs for work that uses them.
        share: The part of a processor or GPU that an actor takes: 1/2 if two kinds of actors are kept side by side,
            which would wait for each other otherwise.

    Raises:
        MissingDependencyError: Ray is not installed.
        ConfigError: There is no cluster at ``RAY_ADDRESS``.
        EngineError: Ray cannot be started on this machine.
    """

    def __init__(self, workers: int | None = None, *, share: float = 1) -> None:
        self._ray = require("ray", extra="ray")
        self._workers, self._share = workers, share
        self._connect()

    def _connect(self) -> None:
        if self._ray.is_initialized():
            return
        # Nothing is reported to Ray's makers, and a worker without a GPU sees none.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # a busy machine takes its time
        address = os.environ.get("RAY_ADDRESS") or "local"
        how: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
        try:
            self._ray.init(address=address, log_to_driver=False, logging_level="ERROR", **how)
        except Exception as error:  # Ray raises anything here
            said = next(iter(str(error).splitlines()), "")
            if address == "local":
                hint = "run it again, or start a cluster with `ray start --head` and set RAY_ADDRESS=auto"
                raise EngineError(f"Ray could not be started on this machine: {said}", hint=hint) from error
            hint = "start one with `ray start --head`, or unset RAY_ADDRESS"
            raise ConfigError(f"there is no Ray cluster at {address!r}: {said}", hint=hint) from error

    @property
    def workers(self) -> int:
        """Actors for work without a GPU."""
        return self._count("CPU")

    def _count(self, resource: str) -> int:
        return self._workers or max(1, int(self._ray.cluster_resources().get(resource, 1)))

    def map(self, make: Callable[[], Callable[[T], R]], tasks: Iterable[T], *, gpu: bool = False) -> Iterator[R]:
        """See ``Engine``. An actor has up to two tasks, and four results per actor may wait for an earlier one."""
        return self._mapped(partial(self.start, make, gpu=gpu), tasks)

    def _mapped(self, start: Callable[[], RayWorkers], tasks: Iterable[Any]) -> Iterator[Any]:
        workers = start()
        try:
            yield from workers.map(tasks)
        finally:
            workers.close()

    def start(self, make: Callable[[], Callable[[T], R]], *, gpu: bool = False) -> RayWorkers:
        """Actors for several calls of ``map``; arguments as of ``map``."""
        gpu = gpu and self._ray.cluster_resources().get("GPU", 0) > 0
        return RayWorkers(self._pool(make, gpu=gpu))

    def _pool(self, make: Callable[[], Any], *, gpu: bool = False) -> _Pool:
        return _Pool(self._ray, make, self._count("GPU" if gpu else "CPU"), gpu=gpu, share=self._share)

    def flat_map(self, make: Callable[[], Callable[[T], Iterator[R]]], tasks: Iterable[T]) -> Iterator[R]:
        """See ``Engine``. Each actor works on one task and stops when a few of its results wait to be read."""
        return self._flattened(partial(self._pool, make), iter(tasks))

    def _flattened(self, start: Callable[[], _Pool], tasks: Iterator[Any]) -> Iterator[Any]:
        pool, streams = start(), deque[_Job]()
        try:
            while True:
                for task in islice(tasks, len(pool.slots) - len(streams)):
                    streams.append(pool.submit(_Job(task), stream=True))
                if not streams:
                    return
                yield from pool.read(streams[0])
                streams.popleft()
        finally:
            pool.close()


class RayWorkers:
    """Actors that keep what ``make`` loaded, until they are closed."""

    def __init__(self, pool: _Pool) -> None:
        self._pool = pool

    @property
    def count(self) -> int:
        """The number of actors."""
        return len(self._pool.slots)

    def map(self, tasks: Iterable[Any]) -> Iterator[Any]:
        """See ``Engine.map``; one call at a time. What a call that is given up had waiting is forgotten."""
        tasks, pool, waiting = iter(tasks), self._pool, deque[_Job]()
        try:
            while True:
                room = min(pool.room, 2 * _AHEAD * len(pool.slots) - len(waiting))
                for task in islice(tasks, max(0, room)):
                    waiting.append(pool.submit(_Job(task)))
                if not waiting:
                    return
                while waiting and waiting[0].done:
                    yield waiting.popleft().result
                if waiting:
                    pool.settle()
        finally:
            pool.forget()

    def close(self) -> None:
        """End the actors."""
        self._pool.close()


class _Pool:
    """Actors, and which jobs they have.

    Args:
        ray: The module.
        make: See ``Engine.map``.
        workers: Number of actors.
        gpu: Whether each takes a GPU.
        share: The part of a processor, and of the GPU, that each takes.
    """

    def __init__(self, ray: Any, make: Callable[[], Any], workers: int, *, gpu: bool, share: float) -> None:
        self._ray, self._make = ray, ray.put(make)
        self._takes = {"num_cpus": share, "num_gpus": share if gpu else 0}
        self.slots = [_Slot(self._actor()) for _ in range(workers)]

    @cached_property
    def _errors(self) -> Any:
        return require("ray.exceptions", extra="ray")

    def _actor(self) -> Any:
        kind = self._ray.remote(_Worker)
        return kind.options(**self._takes).remote(self._make, __version__)

    @property
    def room(self) -> int:
        """Tasks that can be given to actors now."""
        return sum(_AHEAD - len(slot.jobs) for slot in self.slots)

    def submit(self, job: _Job, *, stream: bool = False) -> _Job:
        """Give a job to the actor that has the fewest."""
        slot = min(self.slots, key=lambda one: len(one.jobs))
        if stream:
            how = {"num_returns": "streaming", "_generator_backpressure_num_objects": _UNREAD}
            job.ref = slot.actor.stream.options(**how).remote(job.task)
        else:
            job.ref = slot.actor.run.remote(job.task)
        job.worker = slot
        slot.jobs.append(job)
        return job

    def settle(self) -> None:
        """Wait until something is done; jobs of a lost actor go to others."""
        open_jobs = {job.ref: job for slot in self.slots for job in slot.jobs}
        ready, _ = self._ray.wait(list(open_jobs), num_returns=1)
        for ref in ready:
            job = open_jobs[ref]
            if job.ref is not ref:  # given to another actor meanwhile
                continue
            try:
                job.result = self._ray.get(ref)
            except self._errors.RayTaskError as error:
                raise error.cause from error
            except self._errors.RayError as error:
                self._replace(job, error)
            else:
                job.done = True
                job.worker.jobs.remove(job)

    def read(self, job: _Job) -> Iterator[Any]:
        """The results of a stream; if its actor is lost, another one begins anew, and known results are skipped."""
        given = 0
        while True:
            try:
                for ref in islice(job.ref, given, None):
                    result = self._ray.get(ref)
                    given += 1
                    yield result
            except self._errors.RayTaskError as error:
                raise error.cause from error
            except self._errors.RayError as error:
                self._replace(job, error, stream=True)
            else:
                job.worker.jobs.remove(job)
                return

    def _replace(self, job: _Job, error: Exception, *, stream: bool = False) -> None:
        """Put another actor into the place of a lost one, and give its jobs away.

        Raises:
            EngineError: The job was lost several times.
        """
        job.losses += 1
        if job.losses >= _TRIES:
            said = " ".join(str(error).split())[:300]
            message = f"a batch was lost with its worker {job.losses} times; the last said: {said}"
            raise EngineError(message, hint="give workers more memory, or smaller batches") from error
        slot = job.worker
        orphans, slot.jobs = slot.jobs, []
        self._ray.kill(slot.actor)  # it may be alive, if only a result was lost
        slot.actor = self._actor()
        for orphan in orphans:
            self.submit(orphan, stream=stream)

    def forget(self) -> None:
        """Take no results of the jobs under way."""
        for slot in self.slots:
            slot.jobs.clear()

    def close(self) -> None:
        """End the actors."""
        for slot in self.slots:
            self._ray.kill(slot.actor)


class _Worker:
    """An actor. An error of ``make`` is raised for every task, so that the driver sees it as it is."""

    def __init__(self, make: Callable[[], Any], version: str) -> None:
        self._problem: Exception | None = None
        try:
            if version != __version__:
                message = f"a node has idiolect {__version__}, the driver {version}"
                raise ConfigError(message, hint="install one version on all nodes")
            self._work = make()
        except Exception as error:  # of any kind: another's encoder, for instance
            self._problem = error

    def run(self, task: Any) -> Any:
        """The result of a task."""
        if self._problem is not None:
            raise self._problem
        return self._work(task)

    def stream(self, task: Any) -> Iterator[Any]:
        """The results of a task, one by one."""
        if self._problem is not None:
            raise self._problem
        yield from self._work(task)
