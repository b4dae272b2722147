"""Tables of the papers: the engine on tiny worlds and the fake model, its formats, and the published figures."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from idiolect.cli.main import main
from idiolect.data.formats import CONFIGS
from idiolect.errors import ConfigError, InputError, NotFoundError
from idiolect.experiments.tables import engine
from idiolect.experiments.tables.html import page
from idiolect.experiments.tables.render import blocks, to_csv, to_latex, to_markdown, to_text
from idiolect.experiments.tables.run import reproduce
from idiolect.experiments.tables.spec import (
    expected,
    load_table,
    profile,
    published,
    row_settings,
    rows_of,
    tables,
)
from idiolect.llm.fake import FakeLLM
from idiolect.sandbox.domain import WorldConfig
from idiolect.sandbox.world import World
from idiolect.store.sql import SqlStore

NASTY = "<script>alert('x')</script> & \x1b[31m"


def tiny(backbone: str = "fake", **settings: Any) -> dict[str, Any]:
    """A profile of three small worlds."""
    world = {"n_users": 7, "n_items": 6, "reviews_per_user": [5, 6], "words": 20}
    domains = dict(zip(CONFIGS, ("books", "films", "albums"), strict=True))
    return {
        "worlds": {
            name: {**world, "seed": 50 + k, "domains": [domain]} for k, (name, domain) in enumerate(domains.items())
        },
        "split": {"min_item_users": 2, "min_user_reviews": 4, "min_peers": 2, "min_profile": 2, "train": 1,
                  "min_text_chars": 10},
        "first_stage": None,
        "settings": {
            "encoder": "hash:16",
            "backbone": {"model": backbone, "max_prompt_tokens": 512, "batch_size": 8},
            "adapter": {"d_sae": 8},
            "context": {"k": 2},
            "targets": {"max_validation": 2, "max_test": None},
            "fit": {"max_steps": 2, "batch_size": 4, "metric": "nll"},
            "sampling": {"max_new_tokens": 5},
            "resamples": 100,
            **settings,
        },
    }  # fmt: skip


def write_spec(folder: Path, **changes: Any) -> Path:
    """A table of two methods that are run and one row that is quoted."""
    spec = {
        "title": "Tiny, Table 1",
        "expected": "drp/table-1",
        "recipe": "none.yaml",
        "metrics": ["bleu", "rouge1"],
        "baseline": "RAG",
        "rows": [
            {"name": "Non-P", "method": "nonpersonalized"},
            {"name": "RAG", "method": "rag"},
            {
                "name": "DPL",
                "method": "pag",
                "sandbox": {"sampling": {"top_p": 0.9}},
                "stands_for": "style",
            },
            {"name": "CICL"},
            {"name": "large", "method": "rag", "sandbox": None},
        ],
        **changes,
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tables")
    return reproduce(str(write_spec(folder)), out=folder / "out", changes=tiny(), seeds=[0, 1])


def test_every_data_set_has_a_block_with_published_figures_next_to_ours(ran: Any) -> None:
    found = blocks(ran.found)
    assert [block.key for block in found] == list(CONFIGS)
    books = dict(found[0].rows)
    place = found[0].columns.index("bleu")
    assert books["DPL"][place].published == 5.6534
    assert books["DPL"][place].value is not None
    assert (books["CICL"][place].value, books["CICL"][place].published) == (None, 5.1555)
    assert books["large"][place].value is None
    assert books["CICL"][place].published_rank == 2  # of the rows that are in this table
    assert books["DPL"][place].published_rank == 1
    assert dict(found[1].rows)["DPL"][place].published is None
    ranks = [entries[place].rank for _, entries in found[0].rows if entries[place].value is not None]
    assert 1 in ranks
    assert all(entries[place].deviation is not None for name, entries in found[0].rows if name == "RAG")


def test_all_formats_say_the_same(ran: Any) -> None:
    text, markdown, latex = to_text(ran.found), to_markdown(ran.found), to_latex(ran.found)
    for shown in (text, markdown, latex):
        assert "Movies" in shown
        assert "5.6534" in shown
        assert "n/a" in shown
        assert "style" in shown
    assert "*5.6534*" in text
    assert "**5.6534**" in markdown
    assert "<u>5.1555</u>" in markdown
    assert r"\textbf{5.6534}" in latex
    assert r"\underline{5.1555}" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 3
    lines = list(csv.DictReader(io.StringIO(to_csv(ran.found))))
    one = next(line for line in lines if (line["dataset"], line["row"], line["metric"]) == ("Books", "DPL", "bleu"))
    assert one["published"] == "5.6534"
    assert float(one["value"]) == dict(blocks(ran.found)[0].rows)["DPL"][0].value
    assert one["seeds"] == "2"
    assert {path.suffix for path in ran.files} == {".json", ".txt", ".md", ".tex", ".csv", ".html"}
    assert all(path.is_file() for path in ran.files)


def test_what_was_run_is_not_run_again(ran: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a model was asked")

    monkeypatch.setattr(engine, "load_llm", never)
    again = reproduce(str(write_spec(tmp_path)), out=ran.report.parent, changes=tiny(), seeds=[0, 1])
    assert to_csv(again.found) == to_csv(ran.found)
    # Another table shares the rows that are alike.
    other = write_spec(tmp_path, title="Other", rows=[{"name": "RAG", "method": "rag"}], expected="none")
    assert "n/a" not in to_csv(reproduce(str(other), out=ran.report.parent, changes=tiny()).found)


def test_an_interrupted_table_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    generate = FakeLLM.generate

    def stopping(self: Any, prompts: Any, params: Any, **more: Any) -> Any:
        asked.append(len(prompts))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return generate(self, prompts, params, **more)

    spec, out, changes = str(write_spec(tmp_path, datasets=["Books"])), tmp_path / "out", tiny()
    del changes["worlds"]["Movies_and_TV"], changes["worlds"]["CDs_and_Vinyl"]
    monkeypatch.setattr(FakeLLM, "generate", stopping)
    with pytest.raises(KeyboardInterrupt):
        reproduce(spec, out=out, changes=changes)
    reproduce(spec, out=out, changes=changes)
    assert len(asked) == 4  # the first row is read back; the second is asked again, then the third
    monkeypatch.setattr(FakeLLM, "generate", generate)
    whole = reproduce(spec, out=tmp_path / "whole", changes=changes)
    assert to_csv(reproduce(spec, out=out, changes=changes).found) == to_csv(whole.found)


def test_adapters_are_fitted_once_for_rows_that_share_them(job: Any, tmp_path: Path) -> None:
    rows = [
        {"name": "w/o text", "method": "dep", "settings": {"prompt": {"with_text": False}}},
        {"name": "w/ text", "method": "dep"},
        {"name": "greedy", "method": "dep", "settings": {"sampling": {"temperature": 0}}},
    ]
    spec = write_spec(tmp_path, rows=rows, baseline="w/o text", metrics=["bleu"], expected="none")
    changes = {**tiny(str(job.backbone)), "first_stage": {"prompt": {"with_text": False}}, "metrics": ["nll"]}
    changes["settings"]["targets"] = {"max_validation": 1, "max_test": 3}
    del changes["worlds"]["Movies_and_TV"], changes["worlds"]["CDs_and_Vinyl"]
    said: list[str] = []
    found = reproduce(str(spec), out=tmp_path / "out", changes=changes, say=said.append, controls=True)
    fitted = [line for line in said if "fitting" in line]
    assert fitted == ["  fitting an adapter", "  fitting an adapter, second stage"]
    assert all("nll" in block.columns for block in blocks(found.found))
    record = found.to_dict()
    assert {line["control"] for line in record["controls"]} >= {"dep: wrong user", "dep: another user's vectors"}
    assert record["cost"][1]["trained"] > 0
    assert (record["units"]["adapter"], record["units"]["width"]) == ("greedy", 8)
    assert "Units of the sparse code" in found.report.read_text()
    with SqlStore(str(tmp_path / "out" / "reviews.db")) as store:
        kinds = list(store.outputs().values())
    assert kinds.count("fit") == 2
    assert "evaluation" in kinds


def own_reviews(folder: Path) -> dict[str, str]:
    """Reviews and items of a small world as files."""
    world = World(WorldConfig(**tiny()["worlds"]["Books"]))
    reviews = [
        {"user_id": r.user, "item_id": r.item, "rating": r.rating, "title": r.title, "text": r.text,
         "timestamp": r.timestamp}
        for r in world.reviews()
    ]  # fmt: skip
    items = [{"item_id": i.id, "title": i.title, "description": i.description} for i in world.items()]
    for name, rows in (("reviews", reviews), ("items", items)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"source": str(folder / "reviews.jsonl"), "items": str(folder / "items.jsonl")}


def test_a_table_runs_on_reviews_of_ones_own(tmp_path: Path) -> None:
    changes = {**tiny(), "corpus": "My shop", **own_reviews(tmp_path)}
    del changes["worlds"]
    spec = str(write_spec(tmp_path))
    found = reproduce(spec, out=tmp_path / "out", changes=changes)
    assert [block.title for block in blocks(found.found)] == ["My shop"]
    assert len(found.found.samples) > 4
    assert "published" not in to_csv(found.found).splitlines()[1]
    text = to_text(found.found)
    assert "5.6534" not in text
    assert "Data: My shop." in text
    assert "Made-up" not in text
    with pytest.raises(ConfigError, match="tables of other data"):
        reproduce(spec, out=tmp_path / "out", changes={**changes, "corpus": "Another shop"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"corpus": "Mine"}, "corpus needs source=FILE"),
        ({"corpus": "Mine, and yours", "source": "x"}, "has no comma"),
        ({"corpus": "Mine", "source": "x", "worlds": {"Books": {"seed": 1}}}, "give one of them"),
    ],
)
def test_slips_of_a_profile_of_ones_own_are_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        profile("sandbox", changes)


def test_uniqueness_groups_and_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [{"name": "Non-P", "method": "nonpersonalized"}, {"name": "RAG", "method": "rag"}]
    bars = write_spec(tmp_path, rows=rows, kind="bars", groups="uniqueness", datasets=["CDs_and_Vinyl"])
    found = reproduce(str(bars), out=tmp_path / "out", changes=tiny())
    assert [block.key for block in blocks(found.found)] == [
        "CDs_and_Vinyl, unique users",
        "CDs_and_Vinyl, other users",
    ]
    assert {path.suffix for path in found.files} >= {".svg", ".png"}
    lines = [{**row, "x": x, "series": "s"} for x, row in enumerate(rows)]
    found = reproduce(str(write_spec(tmp_path, rows=lines, kind="lines")), out=tmp_path / "out", changes=tiny())
    assert "data:image/svg+xml;base64," in found.report.read_text()
    drp = [
        {"name": f"DPL {n}", "method": "dpl", "sandbox": {"differences": {"comparison": {"anchors": n}}}}
        for n in (1, 2)
    ]
    scatter = write_spec(tmp_path, rows=drp, kind="scatter", metrics=["uvq", "bleu"], baseline="DPL 1")
    found = reproduce(str(scatter), out=tmp_path / "out", changes=tiny())
    assert found.found.spec.kind == "scatter"
    assert all("uvq" in block.columns for block in blocks(found.found))


def test_the_report_is_one_page_in_which_no_text_is_markup(ran: Any) -> None:
    record = json.loads(json.dumps(ran.to_dict()))
    record |= {"title": NASTY, "notes": [NASTY]}
    record["samples"] = [{"item": NASTY, "title": NASTY, "reference": NASTY, "texts": {NASTY: NASTY}}]
    record["controls"] = [{"row": NASTY, "control": NASTY}]
    record["blocks"][0]["title"] = NASTY
    text = page([record], {})
    assert "<script" not in text
    assert "\x1b" not in text
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; " in text
    assert "default-src &#x27;none&#x27;" in text or "default-src 'none'" in text
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            tags.append((tag, dict(attrs)))

    Reader().feed(ran.report.read_text())
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in tags}
    places = [value for _, attrs in tags for name, value in attrs.items() if name in ("src", "href")]
    assert all(str(value).startswith(("#", "data:")) for value in places)
    assert "the user&#x27;s own" in ran.report.read_text()


def test_a_folder_of_other_data_is_refused(ran: Any, tmp_path: Path) -> None:
    other = tiny()
    other["worlds"]["Books"]["seed"] = 99
    with pytest.raises(ConfigError, match="holds tables of other data"):
        reproduce(str(write_spec(tmp_path)), out=ran.report.parent, changes=other)
    with pytest.raises(ConfigError, match="other files"):
        reproduce(str(write_spec(tmp_path)), out=tmp_path, changes=tiny())


def test_slips_are_found_before_anything_is_run(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no table 'dep/table-11'"):
        load_table("dep/table-11")
    with pytest.raises(NotFoundError, match="unknown profile"):
        profile("fulll")
    rows = [{"name": "RAG", "method": "rag", "settings": {"contextt": {}}}]
    with pytest.raises(ConfigError, match="unknown setting 'contextt'"):
        reproduce(str(write_spec(tmp_path, rows=rows)), out=tmp_path / "out", changes=tiny())
    assert not (tmp_path / "out" / "reviews.db").exists()
    with pytest.raises(ConfigError, match="no row is called"):
        load_table(str(write_spec(tmp_path, baseline="nobody")))


def test_a_users_texts_leave_the_report_when_they_are_forgotten(tmp_path: Path) -> None:
    import idiolect as idl

    found = reproduce(str(write_spec(tmp_path)), out=tmp_path / "out", changes=tiny())
    user = str(found.found.samples[0].user)
    reference = str(found.found.samples[0].reference)
    idl.Store(tmp_path / "out" / "reviews.db").forget(user)
    for path in (tmp_path / "out").rglob("*"):
        if path.suffix in (".json", ".jsonl", ".html", ".md", ".txt"):
            assert reference not in path.read_text(encoding="utf-8")


def test_the_command_lists_and_runs(tmp_path: Path, capsys: Any) -> None:
    main(["table"])
    out = capsys.readouterr().out
    assert all(name in out for name in ("dep/table-1", "dep/figure-3", "drp/figure-scaling"))
    (tmp_path / "profile.yaml").write_text(yaml.safe_dump(tiny()))
    spec = write_spec(tmp_path, rows=[{"name": "RAG", "method": "rag"}])
    where = ["--out", str(tmp_path / "out"), "--config", str(tmp_path / "profile.yaml")]
    main(["table", str(spec), *where, "--quiet", "--json"])
    assert json.loads(capsys.readouterr().out)["title"] == "Tiny, Table 1"


WANTED = {
    *(f"dep/table-{number}" for number in (1, 2, 3, 6, 7, 8, 9)),
    *(f"dep/figure-{number}" for number in (2, 3, 5)),
    *("drp/table-1", "drp/figure-scaling", "drp/figure-uvq"),
    "all/table-methods",
}


def test_every_table_of_both_papers_is_there_and_its_settings_are_valid() -> None:
    assert set(tables()) == WANTED
    for name in WANTED:
        _, spec, folder = load_table(name)
        _, known = published(spec)
        assert set(known) <= {row.name for row in spec.rows}
        for which in ("sandbox", "full"):
            assert list(rows_of(spec, profile(which), folder))


def test_full_size_rows_are_the_papers_models() -> None:
    _, spec, folder = load_table("dep/table-1")
    rows, full = {row.name: row for row in spec.rows}, profile("full")
    dep = row_settings(spec, rows["7B / DEP"], full, folder, 42)
    assert dep is not None
    assert (dep.backbone.model, dep.encoder, dep.context.retriever) == (
        "Qwen/Qwen2.5-7B-Instruct",
        "BAAI/bge-m3",
        "recency",
    )
    assert (dep.fit.learning_rate, dep.fit.accumulation, dep.fit.seed) == (1e-5, 16, 42)
    assert dep.adapter_config(d_in=1024, hidden_size=3584).activation == "gelu"
    assert (dep.controls, dep.negative_controls) == ((), False)
    dpl = row_settings(spec, rows["32B / DPL"], full, folder, 42)
    assert dpl is not None
    assert dpl.backbone.model == "Qwen/Qwen2.5-32B-Instruct"
    assert {"extractor", "summarizer"} <= set(dpl.differences.roles)
    _, spec, folder = load_table("drp/table-1")
    row = next(row for row in spec.rows if row.name == "DeepSeek 7B")
    drp = row_settings(spec, row, full, folder, 42)
    assert drp is not None
    for role in (drp.differences.extractor, drp.differences.validator):
        assert role is not None
        assert role.backbone is not None
        endpoint = role.backbone.endpoint
        assert endpoint is not None
        assert (endpoint.model, endpoint.reasoning_model, endpoint.request.merge_system) == (
            "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
            True,
            True,
        )


@pytest.mark.parametrize(
    ("table", "row", "dataset", "metric", "value"),
    [
        ("dep/table-1", "7B / DEP", "Books", "bleu", 13.53),
        ("dep/table-1", "7B / DEP", "CDs_and_Vinyl", "bertscore-led", 0.5151),
        ("dep/table-1", "32B / DPL", "Movies_and_TV", "meteor", 0.2238),
        ("dep/table-1", "7B / PPlug", "Books", "bleu", 7.0469),
        ("dep/table-2", "w/o text / his_emb + diff_emb", "CDs_and_Vinyl", "meteor", 0.1853),
        ("dep/table-6", "w/ text / diff_emb", "Movies_and_TV", "bleu", 5.1985),
        ("dep/table-7", "w/ AE", "CDs_and_Vinyl", "rouge1", 0.3167),
        ("dep/table-8", "Recency", "Books", "bleu", 6.8178),
        ("dep/table-9", "w/o guidance", "Books", "meteor", 0.3016),
        ("drp/table-1", "DeepSeek 32B", "Books", "bleu", 6.9535),
        ("drp/table-1", "DPL", "Books", "bleu", 5.6534),
        ("drp/table-1", "Qwen 14B", "CDs_and_Vinyl", "rouge1", 0.312),
        ("drp/table-1", "DeepSeek 32B", "CDs_and_Vinyl", "rougeL", 0.1515),
        ("drp/scaling", "Qwen 1.5B", "CDs_and_Vinyl", "meteor", 0.1919),
    ],
)
def test_published_figures(table: str, row: str, dataset: str, metric: str, value: float) -> None:
    assert expected()[table]["rows"][row][dataset][metric] == value


def test_short_tables_repeat_the_long_ones_and_improvements_add_up() -> None:
    for short, whole in (("dep/table-2", "dep/table-6"), ("dep/table-3", "dep/table-7")):
        long = expected()[whole]["rows"]
        for row, sets in expected()[short]["rows"].items():
            assert all(figures == {"meteor": long[row][name]["meteor"]} for name, figures in sets.items())
    nine = expected()["dep/table-9"]["rows"]
    gains = [nine["w/ guidance"]["Books"][m] - nine["w/o guidance"]["Books"][m] for m in ("rouge1", "meteor", "bleu")]
    assert gains == pytest.approx([0.0041, 0.0140, 0.1649])
    one = expected()["drp/table-1"]["rows"]
    assert one["DeepSeek 32B"]["Books"]["bleu"] / one["DPL"]["Books"]["bleu"] == pytest.approx(1.230, abs=5e-4)
    for figure in ("dep/figure-2", "dep/figure-3", "dep/figure-5"):
        assert not expected()[figure]["rows"]
        assert "not available" in expected()[figure]["source"]


def test_a_password_in_the_address_of_the_data_is_not_kept_or_said(tmp_path: Path) -> None:
    said: list[str] = []
    changes = {"source": "https://me:hunter2@host/x"}
    with pytest.raises(InputError, match="address"):
        reproduce("dep/table-1", name="full", out=tmp_path / "out", changes=changes, say=said.append)
    assert "hunter2" not in "".join(said)
    assert not any(b"hunter2" in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
