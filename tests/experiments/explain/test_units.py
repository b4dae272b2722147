"""Units of an adapter's sparse code: a planted one is found, silenced and boosted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from idiolect.cli.main import main
from idiolect.config import build
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.explain.labels import detect, read_words
from idiolect.explain.latent import LatentConfig
from idiolect.explain.units import inspect_adapter
from idiolect.llm.transformers import TransformersLLM
from idiolect.pipeline.write import write_review
from idiolect.softprompt.adapter import Adapter
from idiolect.softprompt.config import AdapterConfig
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Review, ReviewId, UserId

N_USERS, N_ITEMS = 24, 12
PLANTED, DEAD = 2, 3
WORDS = ("the", "a", "good", "thing", "and", "that", "was", "nice", "today", "for", "one", "more", "time", "all", "we")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Every third user writes "zounds"; the first component of a vector says so, and unit 2 reads it."""
    folder = tmp_path_factory.mktemp("planted")
    rng, store = np.random.default_rng(5), str(folder / "reviews.db")
    reviews, vectors = [], []
    for user in range(N_USERS):
        for item in range(N_ITEMS):
            loud = user % 3 == 0 and rng.random() < 0.8
            text = [*rng.permutation(WORDS)[:9].tolist(), f"topic{item}", *(["zounds"] if loud else [])]
            id = ReviewId(f"r{user}-{item}")
            reviews.append(Review(id=id, user=UserId(f"u{user}"), item=ItemId(f"i{item}"), text=" ".join(text) + "."))
            vectors.append([0.8 if loud else 0.1, *rng.normal(0, 0.2, 5).clip(-1, 1)])
    with SqlStore(store) as database:
        database.add([Item(id=ItemId(f"i{item}"), title=f"Thing {item}") for item in range(N_ITEMS)], reviews)
        database.add_vectors([one.id for one in reviews], np.array(vectors), encoder="planted")
    adapter = Adapter(
        AdapterConfig(d_in=6, d_sae=5, hidden_size=8, standardise=False), torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        sae: Any = adapter.source.sae
        sae.W_enc[PLANTED] = torch.tensor([4.0, 0, 0, 0, 0, 0])
        sae.b_enc[PLANTED], sae.b_enc[DEAD] = -0.5, -100.0
    adapter.save_pretrained(folder / "adapter")
    names = dict.fromkeys(("backbone", "store", "split"), "x") | {"encoder": "planted", "settings": {}}
    (folder / "adapter" / "settings.json").write_text(json.dumps(names))
    return store, folder / "adapter"


def test_a_planted_unit_is_found_and_labelled(planted: tuple[str, Path]) -> None:
    found = inspect_adapter(*planted, config=LatentConfig(shown=5))
    assert (found.stream, found.width, found.users) == ("diff", 5, N_USERS)
    by_number = {unit.number: unit for unit in found.units}
    unit = by_number[PLANTED]
    assert unit.label[0] == "zounds"
    assert unit.auc is not None
    assert unit.auc > 0.9
    assert unit.pairs > 20
    assert unit.user_share > 0.3 > unit.item_share
    assert unit.contrast > 1
    assert unit.shift > 0
    assert {"zounds" in top.text for top in unit.top} == {True}
    assert {"zounds" in (top.peer_text or "") for top in unit.top} == {False}
    assert len({top.user for top in unit.top}) == 3
    assert all("zounds" not in other.label for number, other in by_number.items() if number != PLANTED)
    assert [one.dead for one in found.streams] == [(DEAD,), (DEAD,)]
    assert (by_number[DEAD].active, by_number[DEAD].shift, by_number[DEAD].top) == (0, 0, ())
    assert "no word sets its reviews apart" in found.text
    assert json.loads(json.dumps(found.record()))["units"][0]["number"] == found.units[0].number


def test_all_forms_of_the_report_say_the_same(planted: tuple[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    store, adapter = planted
    told = ["explain", "--latent", "--adapter", str(adapter), "--store", store, "--unit", str(PLANTED)]
    shown = []
    for form in ([], ["--markdown"], ["--json"]):
        main([*told, *form])
        shown.append(capsys.readouterr().out)
    (unit,) = json.loads(shown[2])["units"]
    for text in shown:
        assert "zounds" in text
    assert f"AUC {unit['auc']:.2f}" in shown[0]
    assert f"AUC {unit['auc']:.2f}" in shown[1]
    assert unit["silenced"] is None


def test_the_stream_of_own_vectors_is_looked_at_where_asked(planted: tuple[str, Path]) -> None:
    found = inspect_adapter(*planted, config=LatentConfig(stream="his", units=(PLANTED,)))
    assert found.stream == "his"
    assert found.units[0].label[0] == "zounds"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--unit", "5"], "no unit 5"),
        (["--set", "stream=user"], "stream"),
        (["--set", "nonsense=1"], "nonsense"),
    ],
)
def test_what_is_wrong_is_one_line(
    planted: tuple[str, Path], capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    store, adapter = planted
    with pytest.raises(SystemExit, match="2"):
        main(["explain", "--latent", "--adapter", str(adapter), "--store", store, *more])
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_latent_needs_an_adapter_and_takes_no_user(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--latent"], ["--latent", "ann"], ["ann", "--unit", "3"]):
        with pytest.raises(SystemExit, match="2"):
            main(["explain", *words])
        assert "--latent" in capsys.readouterr().err


def test_users_who_are_nobodys_peers_are_left_out(planted: tuple[str, Path], tmp_path: Path) -> None:
    store, adapter = planted
    with SqlStore(store) as source, SqlStore(str(tmp_path / "s.db")) as copy:
        ids = [ReviewId(one) for one in source.review_frame()["review_id"]]
        copy.add(source.items([ItemId(f"i{k}") for k in range(N_ITEMS)]).values(), source.reviews(ids))
        copy.add_vectors(ids, source.vectors(ids, encoder="planted"), encoder="planted")
        copy.set_peer(UserId("u0"), False)
    found = inspect_adapter(str(tmp_path / "s.db"), adapter, config=LatentConfig(units=(PLANTED,), top=30))
    assert found.users == N_USERS - 1
    assert all(top.user != "u0" for top in found.units[0].top)


def test_a_store_without_vectors_of_the_encoder_is_refused(job: Any, planted: tuple[str, Path]) -> None:
    with pytest.raises(NotFoundError, match="0 reviews with vectors of 'planted'"):
        inspect_adapter(job.store, planted[1])


def test_few_reviews_are_drawn_by_user(planted: tuple[str, Path]) -> None:
    found = inspect_adapter(*planted, config=LatentConfig(units=(PLANTED,), max_reviews=100))
    assert found.reviews <= 100
    assert found.users == 100 // N_ITEMS


def test_detection_is_the_share_of_same_item_pairs_in_order() -> None:
    rng = np.random.default_rng(0)
    users, items = rng.integers(30, size=300), rng.integers(5, size=300)
    strong = rng.random((300, 1)) < 0.3
    weak = ~strong & (rng.random((300, 1)) < 0.7)
    texts = [
        f"word{'s mark' if s and rng.random() < 0.7 else ''} i{item}"
        for s, item in zip(strong[:, 0], items, strict=True)
    ]
    words = read_words(texts, users, min_users=3)
    ((label, found),) = detect(words, strong, weak, users, items, size=3, halves=1, seed=4)
    assert set(label.words) & {"mark", "words"}
    weights = dict(zip(label.words, label.weights.tolist(), strict=True))
    score = [sum(weights.get(word, 0.0) for word in set(text.split())) for text in texts]
    held_out = np.zeros(users.max() + 1, dtype=bool)
    held_out[np.random.default_rng([4, 23]).permutation(users.max() + 1)[: (users.max() + 1) // 2]] = True
    rows = np.flatnonzero(held_out[users])
    pairs = [
        float(score[a] > score[b]) + 0.5 * (score[a] == score[b])
        for a in rows for b in rows if items[a] == items[b] and strong[a, 0] and weak[b, 0]
    ]  # fmt: skip
    assert found.pairs == len(pairs)
    assert found.auc == pytest.approx(np.mean(pairs))


def test_words_of_few_users_are_in_no_label() -> None:
    words = read_words(
        ["Ann says hi!", "ann says hi", "he says hi", "she says ho"], np.array([0, 0, 1, 2]), min_users=2
    )
    assert words.names == ("says", "hi")
    assert words.present.toarray().tolist() == [[1, 1], [1, 1], [1, 1], [1, 0]]


def by_hand(adapter: Adapter, vectors: np.ndarray, stream: np.ndarray, factors: dict[int, float]) -> np.ndarray:
    source: Any = adapter.source
    streams = torch.from_numpy(stream)
    x = source.standardiser(torch.from_numpy(vectors), streams)
    code = torch.relu(x @ source.sae.W_enc.T + source.sae.b_enc)
    for unit, factor in factors.items():
        code[:, unit] *= factor
    rows = torch.stack(
        [source.projectors["his" if s == 0 else "diff"](row) for row, s in zip(code, stream.tolist(), strict=True)]
    )
    return adapter.norm_match(rows, streams).detach().numpy()  # type: ignore[misc]


def test_muting_and_boosting_change_the_soft_prompts_as_computed_by_hand() -> None:
    rng, stream = np.random.default_rng(1), np.arange(8) % 2
    adapter = Adapter(AdapterConfig(d_in=6, d_sae=5, hidden_size=8), torch.Generator().manual_seed(2))
    vectors, entry = rng.normal(0, 1, (8, 6)).astype(np.float32), np.zeros(8, dtype=int)
    adapter.set_statistics(vectors, stream, token_norm=2.0)
    plain = adapter.soft_prompt_embeddings(vectors, stream, entry)
    for factors in ({1: 0.0}, {0: 3.0}, {0: 0.0, 4: 0.5}):
        adapter.scale_units(factors)
        scaled = adapter.soft_prompt_embeddings(vectors, stream, entry)
        np.testing.assert_allclose(scaled, by_hand(adapter, vectors, stream, factors), atol=1e-5)
        assert not np.allclose(scaled, plain)
    assert "source.unit_factors" not in adapter.state_dict()
    adapter.scale_units({})
    np.testing.assert_array_equal(adapter.soft_prompt_embeddings(vectors, stream, entry), plain)


@pytest.mark.parametrize("factors", [{5: 0.0}, {-1: 1.0}, {0: -1.0}, {0: float("nan")}, {0: float("inf")}])
def test_units_and_factors_out_of_range_are_refused(factors: dict[int, float]) -> None:
    adapter = Adapter(AdapterConfig(d_in=6, d_sae=5, hidden_size=8))
    with pytest.raises(ConfigError):
        adapter.scale_units(factors)


@pytest.mark.parametrize("settings", [{"refine": "none"}, {"kind": "constant"}])
def test_an_adapter_without_an_autoencoder_has_no_units(settings: dict[str, Any], tmp_path: Path) -> None:
    adapter = Adapter(build(AdapterConfig, {"d_in": 6, "hidden_size": 8, **settings}, where="test"))
    with pytest.raises(ConfigError, match="no autoencoder"):
        adapter.scale_units({0: 0.0})


def test_a_review_is_written_with_units_muted(
    job: Any, adapter: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[np.ndarray] = []
    real = TransformersLLM.generate

    def spy(self: Any, prompts: Any, *more: Any, **named: Any) -> Any:
        seen.append(np.concatenate([prompt.soft for prompt in prompts]))
        return real(self, prompts, *more, **named)

    monkeypatch.setattr(TransformersLLM, "generate", spy)
    asked: dict[str, Any] = {"user": "s3-u00000", "item": "s3-i00000", "adapter": adapter}
    asked["backbone"] = str(job.backbone)
    write_review(job.store, **asked)
    width = json.loads((adapter / "config.json").read_text())["d_in"] // 2
    every = dict.fromkeys(range(width), 0.0)
    assert write_review(job.store, **asked, units=every).units == every
    plain, muted = seen
    assert not np.allclose(plain, muted)
    # With every unit silent, all virtual tokens of a stream are the projector's constant.
    assert len(np.unique(muted.round(5), axis=0)) == 2
    told = ["write", "--user", "s3-u00000", "--item", "s3-i00000", "--store", job.store]
    fitted = ["--adapter", str(adapter), "--backbone", str(job.backbone)]
    main([*told, *fitted, "--mute", "1", "--boost", "0=2", "--json"])
    assert json.loads(capsys.readouterr().out)["units"] == {"1": 0.0, "0": 2.0}
    for more in ([*fitted, "--mute", "999"], [*fitted, "--boost", "1"], [*fitted, "--mute", "1", "--boost", "1=2"],
                 ["--method", "rag", "--mute", "1", "--backbone", "fake"]):  # fmt: skip
        with pytest.raises(SystemExit, match="2"):
            main([*told, *more])
        assert "unit" in capsys.readouterr().err


def test_silencing_is_measured_on_held_out_targets(job: Any, adapter: Path) -> None:
    found = inspect_adapter(
        job.store, adapter, split=job.split, config=LatentConfig(units=(0, 1), samples=4), backbone=str(job.backbone)
    )
    assert 2 <= found.targets <= 4
    for unit in found.units:
        assert unit.silenced is not None
        assert unit.silenced.low <= unit.silenced.value <= unit.silenced.high
    assert "nats per held-out review" in found.text
    with pytest.raises(ArtifactError, match="of the kind"):
        inspect_adapter(job.store, _with_kind(adapter, "pplug"))


def _with_kind(adapter: Path, kind: str) -> Path:
    config = json.loads((adapter / "config.json").read_text())
    other = adapter.parent / f"adapter-{kind}"
    other.mkdir(exist_ok=True)
    for name in ("settings.json", "adapter.safetensors"):
        (other / name).write_bytes((adapter / name).read_bytes())
    kept = {name: config[name] for name in ("d_in", "hidden_size")}
    (other / "config.json").write_text(json.dumps({"kind": kind, **kept}))
    return other
