from __future__ import annotations

import numpy as np
import pytest

from idiolect.difference.latent import all_differences
from idiolect.encoders import HashEncoder
from idiolect.errors import ArtifactError
from idiolect.experiments.study.arrays import load_world_arrays
from idiolect.sandbox.domain import DOMAINS
from idiolect.sandbox.world import World, WorldConfig

WORLD = WorldConfig(seed=5, n_users=12, n_items=30, words=20)


class Counting(HashEncoder):
    calls = 0

    def encode(self, texts, *, batch_size=32):
        self.calls += 1
        return super().encode(texts)


def test_rows_are_the_worlds_reviews_in_their_order(tmp_path):
    world, encoder = World(WORLD), HashEncoder(32)
    arrays = load_world_arrays(world, encoder, tmp_path / "new")
    reviews, items = list(world.reviews()), list(world.items())
    np.testing.assert_array_equal(arrays.vectors, encoder.encode([r.text for r in reviews]).astype(np.float16))
    assert [world.user_id(user) for user in arrays.users] == [r.user for r in reviews]
    assert [items[item].id for item in arrays.items] == [r.item for r in reviews]
    np.testing.assert_array_equal(arrays.effects, world.truth.user_effects)
    np.testing.assert_array_equal(
        arrays.differences.diff, all_differences(arrays.vectors, arrays.users, arrays.items).diff
    )
    assert len(set(arrays.categories)) == len(DOMAINS if WORLD.domains == DOMAINS else WORLD.domains)


def test_texts_are_embedded_once(tmp_path):
    encoder = Counting(32)
    first, again = (load_world_arrays(World(WORLD), encoder, tmp_path) for _ in range(2))
    assert encoder.calls == 1
    assert first.fingerprint == again.fingerprint
    np.testing.assert_array_equal(first.vectors, again.vectors)


@pytest.mark.parametrize("change", [{"seed": 6}, {"n_users": 13}, {"noise_sd": 1.0}])
def test_another_world_is_embedded_anew(tmp_path, change):
    encoder = Counting(32)
    prints = {
        load_world_arrays(World(w), encoder, tmp_path).fingerprint for w in (WORLD, WORLD.model_copy(update=change))
    }
    assert encoder.calls == len(prints) == 2


def test_another_encoder_has_vectors_of_its_own(tmp_path):
    small, large = (load_world_arrays(World(WORLD), HashEncoder(dim), tmp_path) for dim in (32, 48))
    assert small.fingerprint != large.fingerprint
    assert large.vectors.shape[1] == 48


@pytest.mark.parametrize("content", [b"no array", b"", b"\x93NUMPY"])
def test_damaged_vectors_are_refused(tmp_path, content):
    load_world_arrays(World(WORLD), HashEncoder(32), tmp_path)
    next(tmp_path.glob("vectors-*.npy")).write_bytes(content)
    with pytest.raises(ArtifactError, match="delete it"):
        load_world_arrays(World(WORLD), HashEncoder(32), tmp_path)


def test_vectors_of_another_shape_are_refused(tmp_path):
    load_world_arrays(World(WORLD), HashEncoder(32), tmp_path)
    np.save(next(tmp_path.glob("vectors-*.npy")), np.zeros((3, 32), dtype=np.float16))
    with pytest.raises(ArtifactError, match="holds float16"):
        load_world_arrays(World(WORLD), HashEncoder(32), tmp_path)


def test_nothing_half_written_stays_behind(tmp_path):
    load_world_arrays(World(WORLD), HashEncoder(32), tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]
