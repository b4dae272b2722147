"""Any sequence of changes: the store answers as a plain list of what is in it would."""

from __future__ import annotations

import math
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review

N_USERS, N_ITEMS, N_REVIEWS, DIM = 3, 4, 12, 3
reviews_ = st.lists(st.integers(0, N_REVIEWS - 1), max_size=6)
users_ = st.sampled_from([f"u{k}" for k in range(N_USERS)])


def review(k: int) -> Review:
    return Review(id=f"r{k}", user=f"u{k % N_USERS}", item=f"i{k % N_ITEMS}", text=f"Text {k}.", timestamp=k)


def everything(store: SqlStore) -> list:
    """Every table but for the numbers that the database gives to rows."""
    queries = (
        "SELECT digest, n_items, n_reviews, n_dated FROM meta",
        'SELECT id, "user", item, text, digest FROM reviews ORDER BY id',
        "SELECT id, name, vector FROM vectors JOIN reviews ON review = seq JOIN encoders ON key = encoder ORDER BY 1,2",
        "SELECT item, name, count, sum FROM item_sums JOIN encoders ON key = encoder ORDER BY 1, 2",
        "SELECT category, name, count, sum FROM category_sums JOIN encoders ON key = encoder ORDER BY 1, 2",
        "SELECT name, dim, n_vectors FROM encoders WHERE n_vectors > 0 ORDER BY name",
        'SELECT "user" FROM not_peers ORDER BY 1',
    )
    with store.reading() as connection:
        return [connection.exec_driver_sql(query).all() for query in queries]


class Store(RuleBasedStateMachine):
    """A store beside a set of the reviews, vectors and flags that should be in it."""

    @initialize(seed=st.integers(0, 2**32 - 1))
    def open(self, seed: int) -> None:
        self.folder = TemporaryDirectory()
        self.store = SqlStore(f"{self.folder.name}/store.db")
        self.vectors = np.random.default_rng(seed).uniform(-1, 1, (2 * N_REVIEWS, DIM)).astype(np.float16)
        self.present: set[int] = set()
        self.embedded: set[tuple[int, str]] = set()
        self.apart: set[str] = set()
        self.recorded: set[int] = set()

    @rule(item=st.integers(0, N_ITEMS - 1))
    def add_item(self, item: int) -> None:
        """An item's record, and with it its category, may come before its reviews or after their vectors."""
        self.store.add([Item(id=f"i{item}", category=f"c{item % 2}")], [])
        self.recorded.add(item)

    @rule(some=reviews_)
    def add(self, some: list[int]) -> None:
        self.store.add([], [review(k) for k in some])
        self.present.update(some)

    @rule(some=reviews_, encoder=st.sampled_from("ef"))
    def embed(self, some: list[int], encoder: str) -> None:
        known = [k for k in some if k in self.present]
        self.store.add_vectors([f"r{k}" for k in known], self.vectors[known], encoder=encoder)
        self.embedded.update((k, encoder) for k in known)

    @rule(user=users_, peer=st.booleans())
    def set_peer(self, user: str, peer: bool) -> None:
        assert self.store.set_peer(user, peer) == (peer == (user in self.apart))
        (self.apart.discard if peer else self.apart.add)(user)

    @rule(user=users_)
    def forget(self, user: str) -> None:
        gone = {k for k in self.present if f"u{k % N_USERS}" == user}
        receipt = self.store.forget(user)
        lost = {pair for pair in self.embedded if pair[0] in gone}
        assert (receipt.reviews, receipt.vectors) == (len(gone), len(lost))
        self.present -= gone
        self.embedded -= lost
        self.apart.discard(user)

    @rule(some=reviews_, encoder=st.sampled_from("efg"), peer=st.booleans(), late=st.booleans())
    def add_then_forget_somebody(self, some: list[int], encoder: str, peer: bool, late: bool) -> None:
        before = everything(self.store)
        guests = [Review(id=f"g{k}", user="guest", item=f"i{k % 5}", text="") for k in set(some)]
        if not late:
            self.store.set_peer("guest", peer)
        self.store.add([], guests)
        ids = [guest.id for guest in guests]
        self.store.add_vectors(ids, self.vectors[N_REVIEWS : N_REVIEWS + len(ids)], encoder=encoder)
        self.store.set_peer("guest", peer)
        self.store.forget("guest")
        assert everything(self.store) == before

    @invariant()
    def the_store_is_in_order(self) -> None:
        assert [finding.detail for finding in self.store.check() if not finding.ok] == []

    @invariant()
    def sums_are_those_of_a_list(self) -> None:
        for encoder in self.store.encoders():
            for exclude in ("u0", "nobody"):
                found = self.store.peer_sums([f"i{k}" for k in range(N_ITEMS)], exclude=exclude, encoder=encoder)
                for item in range(N_ITEMS):
                    rows = [k for k, name in self.embedded if name == encoder and self._is_peer(k, item, exclude)]
                    exact = [math.fsum(self.vectors[rows, d].astype(float)) + 0.0 for d in range(DIM)]
                    assert found.counts[item] == len(rows)
                    assert found.sums[item].tobytes() == np.array(exact).tobytes()

    @invariant()
    def groups_are_those_of_a_list(self) -> None:
        for encoder in self.store.encoders():
            for at_least in (1, 2):
                asked = ("c0", "c1", "", None)
                found = self.store.peer_group_sums(asked, exclude="u0", encoder=encoder, at_least=at_least)
                for row, group in enumerate(asked):
                    items = [item for item in range(N_ITEMS) if group in (None, self._category(item))]
                    rows = [k for k, name in self.embedded if name == encoder and self._is_peer_on(k, items, "u0")]
                    rows = rows if len({k % N_USERS for k in rows}) >= at_least else []
                    assert found.counts[row] == len(rows)
                    exact = [math.fsum(self.vectors[rows, d].astype(float)) + 0.0 for d in range(DIM)]
                    assert (found.sums[row] + 0.0).tobytes() == np.array(exact).tobytes()

    def _category(self, item: int) -> str:
        return f"c{item % 2}" if item in self.recorded else ""

    def _is_peer_on(self, k: int, items: list[int], exclude: str) -> bool:
        return any(self._is_peer(k, item, exclude) for item in items)

    @invariant()
    def look_ups_are_those_of_a_list(self) -> None:
        for user in ("u0", "u1"):
            assert self.store.profile(user) == [review(k) for k in sorted(self.present) if f"u{k % N_USERS}" == user]
        peers = [review(k) for k in sorted(self.present) if self._is_peer(k, 1, "u1")]
        assert self.store.reviews_of("i1", exclude="u1") == peers

    def _is_peer(self, k: int, item: int, exclude: str) -> bool:
        user = f"u{k % N_USERS}"
        return k % N_ITEMS == item and user != exclude and user not in self.apart

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


TestStore = Store.TestCase
TestStore.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
