"""What muting a difference does to a user's vectors and texts (docs/muting.md).

    idiolect demo --out demo
    python benchmarks/bench_muting.py demo [--method dep] [--users 3] [--items 8] [--keep FILE]
    python benchmarks/bench_muting.py demo --probe | --shown
    python benchmarks/bench_muting.py reviews.db --probe --encoder minilm | --shown

For each of some claims, users of whom it is made write about items that they have not reviewed, before and after it is
muted, with the same seed. Prints a Markdown table: the user's own mean, others' mean on the same items, and the means
of the texts. The store is copied first; ``--keep`` resumes. With ``--probe``: how well a linear probe finds a measure
in vectors of users that the erasure was not fitted on. With ``--shown``: how far past texts in a prompt show a claim.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import idiolect as idl
from idiolect.difference.concept_erasure import PER_USER, MeasureErasure, fit_erasure, style_values
from idiolect.difference.stylometry import NAMES, measure, within_item_sd
from idiolect.encoders import load_encoder
from idiolect.methods.base import requirements
from idiolect.methods.muting import LeastShown, Muting
from idiolect.pipeline.commands import load_settings
from idiolect.pipeline.data import gets, make_contexts
from idiolect.pipeline.models import MethodBuilder, Models
from idiolect.pipeline.write import LoadedModels
from idiolect.retrieval import Recency
from idiolect.store.base import Correction
from idiolect.store.sql import SqlStore
from idiolect.types import ItemId, Sample, UserId

CLAIMS = (
    "exclamations more", "exclamations less", "sentence_length more", "list_lines more", "headings more",
    "contractions more", "intensifiers more", "casual_words more", "british_spelling more",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A user, what is muted, and values of all measures."""

    claim: str
    """Measure and side."""
    claimed: tuple[str, ...]
    """All that is claimed of the user."""
    own: np.ndarray
    others: np.ndarray
    before: np.ndarray
    after: np.ndarray

    def gap(self, values: np.ndarray, claim: str) -> float:
        """Distance from others, on the side of the claim."""
        name, side = claim.split()
        distance = values[NAMES.index(name)] - self.others[NAMES.index(name)]
        return float(distance if side == "more" else -distance)


def claims(store: idl.Store, wanted: Sequence[str], n_users: int) -> Iterator[tuple[UserId, str, tuple[str, ...]]]:
    """User, claim and everything claimed of the user; each user once."""
    left = dict.fromkeys(wanted, n_users)
    for user in store.users():
        found = tuple(f"{one['measure']} {one['direction']}" for one in store.explain(user).record()["measured"])
        if open_ := [claim for claim in found if left.get(claim)]:
            claim = max(open_, key=lambda one: left[one])
            left[claim] -= 1
            yield UserId(user), claim, found


def items_of(database: SqlStore, user: UserId, n: int, seed: int) -> list[ItemId]:
    """Items that the user has not reviewed and at least three others have."""
    done = {review.item for review in database.profile(user)}
    known = [ItemId(one.id) for one in database.find_items("", 10_000) if one.id not in done]
    known = [item for item in known if len(database.reviews_of(item, exclude=user)) >= 3]
    return [known[k] for k in sorted(np.random.default_rng(seed).permutation(len(known))[:n])]


class Writer:
    """Writes about several items at once, as ``idiolect write`` does about one.

    Args:
        where: The store.
        method: Which.
        adapter: Folder; None: the method has none.
        changes: Settings.
    """

    def __init__(self, where: str, method: str, adapter: Path | None, changes: dict[str, Any]) -> None:
        self.where, self.method, self.adapter = where, method, adapter
        self.needs, self.loaded = requirements(method), LoadedModels()
        self.settings = load_settings(adapter, changes={"cache": None, **changes})

    def __call__(self, database: SqlStore, user: UserId, items: Sequence[ItemId]) -> np.ndarray:
        """float64 (n_measures,): means over the texts about the items."""
        encoder = self.loaded.encoder(self.settings.encoder) if self.needs.vectors else None
        name = encoder.name if encoder else None
        muting = Muting(
            database.corrections(user),
            database.profile(user),
            gets(self.needs, self.settings),
            lambda: self.loaded.concept_erasure(self.where, database, name),
        )
        contexts = make_contexts(database, self.settings.context, encoder, vectors=self.needs.vectors)
        with Models(self.loaded.model(self.settings, self.where), self.settings.sampling) as models:
            builder = MethodBuilder(self.settings, models, database, encoder)
            made = builder.build(self.method, muting.applied(contexts), adapter=self.adapter)
            written = made.generate([Sample(user=user, item=item) for item in items])
        return measure([one.text for one in written]).mean(axis=0)


def run(
    writer: Writer, store: idl.Store, wanted: Sequence[str], n_users: int, n_items: int, keep: Path | None
) -> list[Case]:
    """Every case, with the difference muted and undone; those in the file ``keep`` are not repeated."""
    cases = _kept(keep)
    for number, (user, claim, claimed) in enumerate(claims(store, wanted, n_users)):
        name = claim.split()[0]
        if number < len(cases):
            continue
        with store.open() as database:
            items = items_of(database, user, n_items, number)
            own = measure([review.text for review in database.profile(user)]).mean(axis=0)
            of_items = [[review.text for review in database.reviews_of(item, exclude=user)] for item in items]
            others = np.mean([measure(texts).mean(axis=0) for texts in of_items], axis=0)
            before = writer(database, user, items)
            database.correct(user, Correction(difference=name))
            after = writer(database, user, items)
            database.undo_correction(user, name)
        cases.append(Case(claim, claimed, own, others, before, after))
        if keep is not None:
            with keep.open("a", encoding="utf-8") as file:
                arrays = {one: getattr(cases[-1], one).tolist() for one in ("own", "others", "before", "after")}
                file.write(json.dumps({"claim": claim, "claimed": claimed, **arrays}) + "\n")
        print(f"\r{len(cases)} cases", end="", flush=True)
    print()
    return cases


def _kept(file: Path | None) -> list[Case]:
    if file is None or not file.is_file():
        return []
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return [
        Case(row["claim"], tuple(row["claimed"]), *(np.array(row[one]) for one in ("own", "others", "before", "after")))
        for row in rows
    ]


def table(cases: Sequence[Case], wanted: Sequence[str], sd: np.ndarray) -> None:
    """Means per measure, and gaps over all cases."""
    print("| muted | users | user's own | others | before | muted | toward others |\n|---|---|---|---|---|---|---|")
    for claim in wanted:
        if of := [case for case in cases if case.claim == claim]:
            place = NAMES.index(claim.split()[0])
            means = [np.mean([getattr(c, one)[place] for c in of]) for one in ("own", "others", "before", "after")]
            toward = sum(abs(c.gap(c.after, claim)) < abs(c.gap(c.before, claim)) for c in of)
            print(
                f"| {claim} | {len(of)} | " + " | ".join(f"{one:.2f}" for one in means) + f" | {toward} of {len(of)} |"
            )
    gaps("muted", [(case, case.claim) for case in cases], sd)
    gaps("not muted", [(case, claim) for case in cases for claim in case.claimed if claim != case.claim], sd)


def gaps(label: str, of: Sequence[tuple[Case, str]], sd: np.ndarray) -> None:
    """Distances from others in standard deviations within items."""
    scale = np.array([sd[NAMES.index(claim.split()[0])] for _, claim in of])
    own, before, after = (
        np.array([case.gap(getattr(case, name), claim) for case, claim in of]) / scale
        for name in ("own", "before", "after")
    )
    toward, beyond = np.abs(after) < np.abs(before), after < -0.5 * np.abs(own)
    error = (after - before).std(ddof=1) / np.sqrt(len(of))
    print(
        f"{label}: {len(of)} differences; mean distance from others in SD: own {own.mean():.2f}, before "
        f"{before.mean():.2f}, after {after.mean():.2f} (change {(after - before).mean():+.2f}, standard error "
        f"{error:.2f}); less after than before {np.mean(after < before):.0%}, nearer to others {toward.mean():.0%}, "
        f"beyond others by more than half of the user's own distance {beyond.mean():.0%} (before "
        f"{np.mean(before < -0.5 * np.abs(own)):.0%})"
    )


def probe(store: idl.Store, wanted: Sequence[str], encoder: str, n_users: int) -> None:
    """Cross-validated correlation of a ridge probe with a measure, on users that the erasure has not seen."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold, cross_val_predict

    with store.open() as database:
        reviews = [review for user in _some(database, n_users) for review in database.profile(user)[-PER_USER:]]
    texts = [review.text for review in reviews]
    made = load_encoder(encoder)
    vectors, values = made.encode(texts).astype(np.float64), style_values(texts)
    users = np.unique([review.user for review in reviews], return_inverse=True)[1]
    new = users % 2 == 1
    erasure = MeasureErasure.fit(vectors[~new], values[~new])
    folds = list(GroupKFold(5).split(vectors[new], groups=users[new]))
    print(f"{made.name}: erasure from {(~new).sum()} reviews; correlation of the probe on {new.sum()} others")
    for name in dict.fromkeys(claim.split()[0] for claim in wanted):
        k = NAMES.index(name)
        pair = [vectors[new], erasure.remove(vectors[new], [k])]
        guesses = [cross_val_predict(RidgeCV(np.logspace(-4, 3, 15)), x, values[new, k], cv=folds) for x in pair]
        before, after = (float(np.corrcoef(np.asarray(guess), values[new, k])[0, 1]) for guess in guesses)
        print(f"| {name} | {before:.2f} | {after:.2f} |")


def shown(store: idl.Store, sd: np.ndarray, k: int, n_users: int) -> None:
    """Distance from others, in standard deviations: all past texts, the latest, those that show a claim least."""
    found = []
    with store.open() as database:
        erasure = fit_erasure(database, None)
        assert erasure is not None
        for user in _some(database, n_users):
            profile = database.profile(user)
            peers = [[one.text for one in database.reviews_of(review.item, exclude=user)] for review in profile]
            others = np.mean(
                [measure(texts).mean(axis=0) for texts in peers if texts] or [np.zeros(len(NAMES))], axis=0
            )
            for one in store.explain(user).record()["measured"]:
                place, side = NAMES.index(one["measure"]), 1 if one["direction"] == "more" else -1
                least = LeastShown(Recency(), erasure, [place]).retrieve(
                    Sample(user=user, item=ItemId("")), profile, {}, k
                )
                means = [measure([r.text for r in of]).mean(axis=0)[place] for of in (profile, profile[-k:], least)]
                found.append(side * (np.array(means) - others[place]) / sd[place])
    own, latest, least = np.mean(found, axis=0)
    print(f"{len(found)} claims: all past texts {own:.2f}, the latest {k} {latest:.2f}, those chosen {least:.2f}")


def _some(database: SqlStore, n: int) -> list[UserId]:
    """Users of at least twelve reviews, or else all."""
    users = [user for user in database.users() if len(database.profile(user)) >= 12] or database.users()
    return [users[k] for k in sorted(np.random.default_rng(0).permutation(len(users))[:n])]


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder of idiolect demo, or a store")
    parser.add_argument("--method", default="dep")
    parser.add_argument("--settings", default="{}", help="of the method, as JSON")
    parser.add_argument("--users", type=int, default=3, help="per measure")
    parser.add_argument("--items", type=int, default=8, help="per user")
    parser.add_argument("--claims", nargs="+", default=CLAIMS, help="measure and side each")
    parser.add_argument("--adapter", type=Path, help="instead of the demo's")
    parser.add_argument("--keep", type=Path, help="file of finished cases, which are not repeated")
    parser.add_argument("--probe", action="store_true", help="only the linear probe")
    parser.add_argument("--encoder", default="style", help="of the probe's vectors")
    parser.add_argument("--sample", type=int, default=150, help="users of the probe and of --shown")
    parser.add_argument("--shown", action="store_true", help="only past texts")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = idl.Store(shutil.copy(args.demo / "reviews.db" if args.demo.is_dir() else args.demo, folder))
        if args.probe:
            probe(store, args.claims, args.encoder, n_users=args.sample)
            return
        with store.open() as database:
            reviews = [review for user in database.users() for review in database.profile(user)]
        items = np.unique([review.item for review in reviews], return_inverse=True)[1]
        sd = within_item_sd(measure([review.text for review in reviews]), items)
        if args.shown:
            shown(store, sd, k=4, n_users=args.sample)
            return
        adapter = (args.adapter or args.demo / "adapter") if requirements(args.method).adapter else None
        changes = json.loads(args.settings) if adapter else {"encoder": "style", **json.loads(args.settings)}
        writer = Writer(store.path, args.method, adapter, changes)
        with writer.loaded:
            table(run(writer, store, args.claims, args.users, args.items, args.keep), args.claims, sd)


if __name__ == "__main__":
    main()
