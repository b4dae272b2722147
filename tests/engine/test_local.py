"""Work in this process."""

from __future__ import annotations

import gzip
import pickle
import sys

import pytest

from idiolect.data import open_reviews
from idiolect.engine import LOCAL, open_engine
from idiolect.errors import InputError, MissingDependencyError


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


class TwoWorkers:
    """An engine that sends what it computes through pickle, as workers do."""

    workers = 2

    def flat_map(self, make, tasks):
        work = pickle.loads(pickle.dumps(make))()
        return (pickle.loads(pickle.dumps(result)) for task in tasks for result in work(task))


ROW = '{{"user": "u{k}", "item": "i", "text": "{text}", "rating": {rating}}}\n'


@pytest.mark.parametrize("numbered", [False, True])
def test_files_read_by_workers_give_the_records_counts_and_rejects_of_one_process(tmp_path, numbered):
    for number in range(3):
        rows = [ROW.format(k=k, text="a\x85"[: k % 3], rating='"?"' if k == 4 else 3) for k in range(2100)]
        if numbered and number == 1:
            rows = [row.replace('"user"', '"order": 7, "user"') for row in rows[:40]] + rows[40:]
        (tmp_path / f"{number}.jsonl").write_text("".join(rows))
    found = []
    for engine in (LOCAL, TwoWorkers()):
        listed = []
        file = open_reviews(tmp_path, on_reject=listed.append)
        found.append((list(file.read(engine)), file.summary, listed))
    assert found[0] == found[1]
    assert found[0][1].read == 6300
    assert found[0][1].rejected
    assert found[0][1].lost_fields


def test_a_damaged_file_among_several_is_named_with_the_rows_before(tmp_path):
    good = "".join(ROW.format(k=k, text=f"{k * k * 7919:x}", rating=1) for k in range(25_000))
    (tmp_path / "a.jsonl").write_text(good[:300])
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(good.encode(), mtime=0)[:-2000])
    said = []
    for engine in (LOCAL, TwoWorkers()):
        read = []
        with pytest.raises(InputError, match=r"b\.jsonl\.gz.*after [\d,]+ rows") as caught:
            read.extend(open_reviews(tmp_path).read(engine))
        said.append(str(caught.value))
    assert said[0] == said[1]
