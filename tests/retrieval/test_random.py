from __future__ import annotations

import os
import subprocess
import sys

from idiolect.retrieval import Random
from idiolect.types import Item, ItemId, Review, ReviewId, Sample, UserId

PROFILE = [
    Review(id=ReviewId(f"r{k}"), user=UserId("u"), item=ItemId("i"), text="", timestamp=k, order=k) for k in range(40)
]
ITEMS = {ItemId("i"): Item(id=ItemId("i"))}


def order(seed: int, item: str) -> list[str]:
    sample = Sample(user=UserId("u"), item=ItemId(item))
    return [review.id for review in Random(seed).retrieve(sample, PROFILE, ITEMS, 0)]


def test_another_seed_and_another_sample_draw_another_order():
    assert order(0, "i") != order(1, "i")
    assert order(0, "i") != order(0, "j")


def test_the_order_is_the_same_in_every_process():
    program = (
        "from idiolect.retrieval import Random\n"
        "from idiolect.types import Review, Sample\n"
        "profile = [Review(id=f'r{k}', user='u', item='i', text='', timestamp=k, order=k) for k in range(40)]\n"
        "print(*(r.id for r in Random(0).retrieve(Sample(user='u', item='i'), profile, {}, 0)))"
    )
    for hash_seed in "12":
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        ran = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True
        )
        assert ran.stdout.split() == order(0, "i")


def test_every_review_has_a_fair_chance_of_being_first():
    firsts = [order(seed, "i")[0] for seed in range(800)]
    assert {firsts.count(review.id) > 3 for review in PROFILE} == {True}
