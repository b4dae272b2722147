from __future__ import annotations

import io

import pytest

from idiolect.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(stream, *, total=600, shown=True, seconds=15.0, steps=9, done=0):
    clock = Clock()
    with Progress(total, "embed", "text", shown=shown, stream=stream, clock=clock, done=done) as progress:
        for k in range(steps):
            clock.now += seconds
            progress.note(f"loss {k}")
            progress.update(20)
    return stream.getvalue()


def test_one_line_a_minute_where_there_is_no_terminal():
    assert run(io.StringIO()).splitlines() == [
        "embed: 80 of 600 texts, 1.3 texts/s, about 6 min left, loss 3",
        "embed: 160 of 600 texts, 1.3 texts/s, about 6 min left, loss 7",
    ]


def test_what_an_earlier_run_did_is_no_part_of_the_rate():
    assert run(io.StringIO(), done=400, steps=4).splitlines() == [
        "embed: 480 of 600 texts, 1.3 texts/s, about 2 min left, loss 3"
    ]


def test_without_a_total_no_end_is_foreseen():
    assert run(io.StringIO(), total=None, steps=4).splitlines() == ["embed: 80 texts, 1.3 texts/s, loss 3"]


@pytest.mark.parametrize(
    ("seconds", "told"), [(60.0, "20.0 texts/min, about 29 min"), (3600.0, "20.0 texts/h, about 29 h")]
)
def test_slow_work_is_reported_in_larger_units(seconds, told):
    assert told in run(io.StringIO(), seconds=seconds, steps=1)


def test_a_short_loop_and_silence_say_nothing():
    assert run(io.StringIO(), seconds=1.0) == ""
    assert run(io.StringIO(), shown=False) == ""
    assert run(Terminal(), shown=False) == ""


def test_a_terminal_gets_a_bar():
    assert "embed" in run(Terminal())
    assert "\r" in run(Terminal())


def test_of_several_processes_the_first_speaks(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert run(io.StringIO()) == ""
