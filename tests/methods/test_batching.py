from __future__ import annotations

import signal
import sys
import threading
import time
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace

import pytest

from idiolect.llm.base import SamplingParams
from idiolect.llm.fake import FakeLLM
from idiolect.methods.batching import batches_for, run_pipelined
from idiolect.methods.drp import DRP
from idiolect.methods.roles import Role, Roles


@pytest.mark.parametrize("batches", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [0, 1, 7, 50])
def test_results_come_in_order_and_preparing_stays_in_this_thread(batches, n):
    here, sizes = threading.get_ident(), []

    def prepare(samples):
        assert threading.get_ident() == here
        return [-sample for sample in samples]

    def work(values):
        sizes.append(len(values))
        return [str(value) for value in values]

    assert run_pipelined(prepare, work, range(n), batches) == [str(-k) for k in range(n)]
    assert sum(sizes) == n
    assert len(sizes) == (batches if n >= 2 * batches else 1)


def test_an_error_in_a_wave_is_everybodys():
    def work(values):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_pipelined(list, work, range(10), 2)


class Waiting:
    """An endpoint that never answers; ``begun`` waves ask it, each again and again."""

    name, identity, supports = "waiting", "waiting", frozenset()

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.told: set[int] = set()

    def stream(self, prompts, params, receive, *, schema=None):
        self.begun.release()
        while threading.get_ident() not in self.told:
            time.sleep(0.001)
        raise CancelledError

    def interrupt(self, threads):
        self.told.update(threads)

    def generate(self, prompts, params, *, schema=None):
        return self.stream(prompts, params, list.append)

    def negative_log_likelihood(self, prompts, references):
        raise AssertionError


@pytest.mark.parametrize("how", [KeyboardInterrupt, ValueError])
def test_whatever_ends_one_wave_ends_all_of_them_wherever_they_are(how):
    """A wave that goes on to another question is interrupted there too."""
    llm = Waiting()

    def work(values):
        if values[0] == 0:
            for _ in range(3):
                llm.begun.acquire()
            if how is ValueError:
                raise ValueError
            time.sleep(0.05)  # until the main thread waits, too
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        for _ in range(2):
            with suppress(CancelledError):
                llm.generate(values, None)
        return values

    before = set(threading.enumerate())
    with pytest.raises(how):
        run_pipelined(list, work, range(8), 4, models=[llm])
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("ThreadPool")]


def test_threads_give_way_sooner_while_waves_run_and_as_ever_afterwards():
    usual, seen = sys.getswitchinterval(), []

    def work(values):
        seen.append(sys.getswitchinterval())
        return values

    run_pipelined(list, work, range(10), 1)
    run_pipelined(list, work, range(10), 2)
    assert seen == [usual, pytest.approx(0.001), pytest.approx(0.001)]
    with pytest.raises(ZeroDivisionError):
        run_pipelined(list, lambda values: [1 / 0], range(10), 2)
    assert sys.getswitchinterval() == pytest.approx(usual)


def test_waves_pay_only_where_every_model_is_behind_an_endpoint():
    class Endpoint(FakeLLM):
        def stream(self, prompts, params, receive, *, schema=None):
            raise AssertionError

        def interrupt(self, threads):
            raise AssertionError

    class Recorded:
        llm = Endpoint()

    local, far = Role(llm=FakeLLM()), Role(llm=Endpoint())
    assert batches_for([far, None, replace(far, llm=Recorded())]) > 1
    assert batches_for([far, local]) == 1
    assert batches_for([None, None]) == 1


def test_a_method_gives_the_same_in_waves_wherever_its_writer_is(world, kit):
    class Far(kit.Scripted):
        def stream(self, prompts, params, receive, *, schema=None):
            raise AssertionError

        def interrupt(self, threads):
            raise AssertionError

    samples = [replace(world.sample, title=f"T i{k % 6}") for k in range(12)]
    found = []
    for batches, kind in ((1, kit.Scripted), (3, kit.Scripted), (3, Far)):
        llm = kind(E=kit.EXCLAIMS + kit.ASKS, V="1. keep\n2. drop", S=lambda p, _: p.messages[1].text[:200])
        roles = Roles.shared(llm, SamplingParams(temperature=0))
        method = DRP(roles, world.contexts(k=2), world.comparisons(anchors=3))
        method.pipelined_batches = batches
        found.append([(p.text, p.profile, p.features) for p in method.generate(samples)])
        written = sum(kit.role_of(prompts[0]) == "G" for prompts, _, _ in llm.batches)
        assert written == (3 if kind is Far else 1)  # a model in this process is given all it can batch
    assert found[0] == found[1] == found[2]
