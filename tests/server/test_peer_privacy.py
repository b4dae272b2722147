"""What reaches anybody of one peer: caps, and noise that is as large as it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("prometheus_client")

from idiolect.errors import ArtifactError, ConfigError
from idiolect.server.peer_privacy import Noise, PeerLimits, PrivateReader, capped, gaussian_sd, private_sum, read_secret
from idiolect.server.settings import ServerConfig
from idiolect.server.voice import Voices
from idiolect.store.sql import SqlStore
from idiolect.types import Review

NOISE = Noise(epsilon=2.0, delta=1e-6, cap=2, secret=b"s" * 32)


def reviews(users, *, item="jam"):
    return [
        Review(id=f"{item}-{k}", user=user, item=item, text=f"Text {k}.", timestamp=k) for k, user in enumerate(users)
    ]


def unit(n, dim=6, seed=0):
    rows = np.random.default_rng(seed).standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


@given(st.floats(0.05, 20), st.floats(1e-9, 0.01), st.floats(0.1, 10))
@settings(max_examples=40, deadline=None)
def test_the_noise_is_the_least_that_gives_the_guarantee(epsilon, delta, sensitivity):
    from scipy.stats import norm

    def spent(sd):
        ratio = sensitivity / sd
        return norm.cdf(ratio / 2 - epsilon / ratio) - np.exp(epsilon) * norm.cdf(-ratio / 2 - epsilon / ratio)

    sd = gaussian_sd(epsilon, delta, sensitivity)
    assert spent(sd * 1.001) <= delta * 1.001
    assert spent(sd * 0.99) > delta * 0.999
    assert gaussian_sd(epsilon, delta, 2 * sensitivity) == pytest.approx(2 * sd)


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(0, 4))
def test_a_cap_keeps_each_users_latest(users, cap):
    given = reviews(users)
    kept = capped(given, cap)
    assert [review for review in given if review in kept] == kept
    for user in "abc":
        mine = [review for review in given if review.user == user]
        assert [review for review in kept if review.user == user] == (mine[-cap:] if cap else mine)


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=20), st.integers(1, 3))
@settings(deadline=None)
def test_one_user_changes_a_sum_by_no_more_than_the_cap(users, cap):
    given, vectors = reviews(users), dict(enumerate(unit(len(users))))

    def read(ids):
        return np.array([vectors[int(id.split("-")[1])] for id in ids]).reshape(len(ids), 6)

    limits = PeerLimits(least=0, cap=cap)
    whole = private_sum(given, read, exclude="x", encoder="e", limits=limits)
    without = private_sum(given, read, exclude="a", encoder="e", limits=limits)
    assert np.linalg.norm(whole.sums - without.sums) <= cap * 1.001
    assert whole.counts[0] - without.counts[0] == min(cap, users.count("a"))


def test_noise_has_its_size_is_the_same_again_and_new_for_another_set():
    drawn = NOISE.draw(20_000, "e", ["a", "b"])
    assert drawn.std() == pytest.approx(NOISE.sd, rel=0.03)
    assert abs(drawn.mean()) < 4 * NOISE.sd / 20_000**0.5
    np.testing.assert_array_equal(NOISE.draw(20_000, "e", ["b", "a"]), drawn)
    for other in (NOISE.draw(20_000, "e", ["a"]), NOISE.draw(20_000, "f", ["a", "b"])):
        assert abs(np.corrcoef(drawn, other)[0, 1]) < 0.05


def test_sums_of_a_store_are_capped_and_noised(tmp_path):
    users = ["ann", "bob", "bob", "bob", "cyd", "dan"]
    with SqlStore(tmp_path / "store.db") as store:
        store.add([], reviews(users) + reviews(["ann", "bob"], item="tea"), {"e": unit(8)})
        plain = store.peer_sums(["jam"], exclude="ann", encoder="e")
        loose = PrivateReader(store, PeerLimits(least=3, cap=9)).peer_sums(["jam", "tea"], exclude="ann", encoder="e")
        tight = PrivateReader(store, PeerLimits(least=3, cap=1)).peer_sums(["jam"], exclude="ann", encoder="e")
        private = PrivateReader(store, PeerLimits(least=3, cap=2, noise=NOISE))
        noised = [private.peer_sums(["jam"], exclude=user, encoder="e") for user in ("ann", "ann", "cyd")]
        assert [len(private.reviews_of("jam", exclude=user)) for user in ("ann", "bob")] == [4, 3]
    np.testing.assert_allclose(loose.sums[0], plain.sums[0], atol=1e-12)
    assert (loose.counts.tolist(), tight.counts.tolist()) == ([5, 0], [3])
    np.testing.assert_array_equal(noised[0].sums, noised[1].sums)
    own = unit(8).astype(np.float64)
    np.testing.assert_allclose(noised[0].sums + own[0], noised[2].sums + own[4], atol=0.01)  # one release for both


def test_settings_that_would_not_hold_are_refused(tmp_path):
    endpoint = {"base_url": "http://localhost/v1", "model": "m"}
    with pytest.raises(ValueError, match="peer_epsilon needs peer_cap"):
        ServerConfig(peer_epsilon=1.0)
    with pytest.raises(ConfigError, match="peer_cap holds for means"):
        Voices(
            ServerConfig(data=tmp_path, endpoint=endpoint, peer_cap=1, settings={"context": {"cold_start": "corpus"}})
        )
    Voices(ServerConfig(data=tmp_path, endpoint=endpoint, peer_cap=1, peer_epsilon=2.0)).close()
    assert (tmp_path / "noise.key").stat().st_mode & 0o777 == 0o600
    assert read_secret(tmp_path / "noise.key") == read_secret(tmp_path / "noise.key")
    (tmp_path / "noise.key").write_bytes(b"short")
    with pytest.raises(ArtifactError, match="holds no secret"):
        read_secret(tmp_path / "noise.key")
