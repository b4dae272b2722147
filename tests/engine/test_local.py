"""Work in this process."""

from __future__ import annotations

import sys

import pytest

from idiolect.engine import LOCAL, open_engine
from idiolect.errors import MissingDependencyError


def test_results_come_in_order_and_tasks_are_read_as_they_are_needed():
    read = []

    def tasks():
        for task in range(5):
            read.append(task)
            yield task

    results = LOCAL.map(lambda: lambda task: task * 2, tasks())
    assert [next(results), next(results)] == [0, 2]
    assert read == [0, 1]
    assert list(LOCAL.flat_map(lambda: range, range(4))) == [0, 0, 1, 0, 1, 2]


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'idiolect\[ray\]'"):
        open_engine("ray")
