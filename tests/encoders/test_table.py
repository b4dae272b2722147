from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from idiolect.encoders import load_encoder
from idiolect.errors import ArtifactError, ConfigError, NotFoundError


def test_the_hash_encoder_needs_no_torch():
    code = "import sys; from idiolect.encoders import load_encoder; load_encoder('hash').encode(['x']); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("spec", ["", "hash:big", "minilm:3"])
def test_a_malformed_spec_is_refused(spec):
    with pytest.raises(ConfigError):
        load_encoder(spec)


def test_an_unknown_folder_is_not_found(tmp_path):
    pytest.importorskip("sentence_transformers")
    with pytest.raises(NotFoundError, match="hub name"):
        load_encoder(str(tmp_path / "nothing"))


def test_a_folder_without_a_model_is_no_encoder(tmp_path):
    pytest.importorskip("sentence_transformers")
    with pytest.raises(ArtifactError, match="not an encoder"):
        load_encoder(str(tmp_path))


def test_the_name_of_a_folder_changes_with_its_weights(tmp_path):
    from idiolect.encoders import folder_digest

    (tmp_path / "config.json").write_text("{}")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(3_000_000))
    first = folder_digest(tmp_path)
    assert folder_digest(tmp_path) == first
    weights.write_bytes(b"\1" + bytes(2_999_999))
    second = folder_digest(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    assert len({first, second, folder_digest(tmp_path)}) == 3
    (tmp_path / "README.md").write_text("words")
    assert len({second, first, folder_digest(tmp_path)}) == 3


@pytest.mark.parametrize(("slip", "meant"), [("minlm", "minilm"), ("stlye", "style"), ("hsah:64", "hash")])
def test_a_slip_of_the_pen_is_not_looked_for_on_the_hub(slip: str, meant: str) -> None:
    with pytest.raises(ConfigError) as found:
        load_encoder(slip)
    assert found.value.hint == f"did you mean {meant!r}?"


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ('[{"idx": 0, "name": "0", "path": "", "type": "evil.Run"}]', "needs code of its own"),
        ("[" * 100_000, "damaged"),
        ('[{"idx": 0}]', "damaged"),
        ("{}", "not an encoder"),
    ],
)
def test_a_folder_that_brings_code_is_not_loaded(tmp_path, monkeypatch, modules, message):
    pytest.importorskip("sentence_transformers")
    (tmp_path / "modules.json").write_text(modules)
    (tmp_path / "evil.py").write_text("raise SystemExit('run')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ArtifactError, match=message):
        load_encoder(str(tmp_path))


def test_several_encoders_are_joined_in_order_at_unit_length():
    texts = ["a short text", "", "ANOTHER one!!"]
    joined, first, second = load_encoder("hash:32+style"), load_encoder("hash:32"), load_encoder("style")
    vectors = joined.encode(texts)
    assert joined.dim == vectors.shape[1] == first.dim + second.dim
    assert joined.name == f"{first.name}+{second.name}"
    np.testing.assert_allclose(vectors[:, :32] * 2**0.5, first.encode(texts), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_part_of_a_joined_encoder_is_checked():
    with pytest.raises(ConfigError, match="sytle"):
        load_encoder("hash:32+sytle")


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("builtins:len", "returned no encoder, but int"),
        ("json:JSONDecoder", "failed: TypeError"),
        ("sys:path", "failed"),
    ],
)
def test_what_makes_no_encoder_is_one_line(spec, match):
    with pytest.raises(ConfigError, match=match) as found:
        load_encoder(spec)
    assert "name, dim and encode" in found.value.hint
