"""What every ``Encoder`` must do."""

from __future__ import annotations

import numpy as np
import pytest

from idiolect.encoders import load_encoder
from idiolect.errors import MissingDependencyError

TEXTS = ["I love this jazz record", "", "the drill broke after two days", "I love this jazz album, truly", "x" * 3000]


@pytest.fixture(scope="module", params=["hash", "hash:64", "minilm", "style"])
def encoder(request):
    try:
        return load_encoder(request.param)
    except MissingDependencyError as error:
        pytest.skip(str(error))


class TestEncoder:
    def test_vectors_are_float32_rows_of_length_one(self, encoder):
        vectors = encoder.encode(TEXTS)
        assert (vectors.dtype, vectors.shape) == (np.float32, (len(TEXTS), encoder.dim))
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_no_texts_give_no_rows(self, encoder):
        assert encoder.encode([]).shape == (0, encoder.dim)

    def test_a_vector_depends_on_its_text_alone(self, encoder):
        together = encoder.encode(TEXTS, batch_size=2)
        for order in ([3, 1, 0, 4, 2], [1], [4, 4]):
            np.testing.assert_allclose(encoder.encode([TEXTS[k] for k in order]), together[order], atol=1e-5)

    @pytest.mark.parametrize("encoder", ["hash", "hash:64", "minilm"], indirect=True)
    def test_nearer_texts_have_nearer_vectors(self, encoder):
        jazz, _, drill, more_jazz, _ = encoder.encode(TEXTS)
        assert jazz @ more_jazz > jazz @ drill + 0.2

    def test_the_name_is_the_same_each_time(self, encoder):
        assert encoder.name
        assert encoder.name == encoder.name
