"""A template from somebody else reads fields and formats text; whatever else it tries is one line, and soon."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from idiolect.errors import ConfigError
from idiolect.prompts.rendering import TEMPLATES, PromptConfig, digest, render

DOUBLED = "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}"
DOUBLED_BLOCKS = "{% set a = 'xxxxxxxxxx' %}" + "{% set a %}{{ a }}{{ a }}{% endset %}" * 40 + "{{ a }}"
DOUBLED_LISTS = "{% set a = ['x'] %}" + "{% set a = [a, a] %}" * 40
SQUARED = "{% set a = 99999999 %}" + "{% set a = a * a %}" * 40 + "{{ a }}"

HOSTILE = [
    "{{ cycler.__init__.__globals__.os.system('touch pwned') }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ '' | attr('__class__') }}",
    "{{ virtual_token.func.__globals__ }}",
    "{{ virtual_token.func }}",
    "{{ item_fields.__init__ }}",
    "{{ item_fields._func.__globals__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ entries[0].e_his.tofile('pwned') }}",
    "{{ entries[0].e_his.dump('pwned') }}",
    "{{ entries[0].e_his }}",
    "{{ (entries | map(attribute='e_his') | list)[0].tofile('pwned') }}",
    "{{ sample.of(sample) }}",
    "{{ item.__class__ }}",
    "{{ '{0.__class__}'.format(item) }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ 'x' * 1000000000 }}",
    "{{ [1] * 1000000000 }}",
    "{{ 'x' | center(1000000000) }}",
    "{{ 'x'.ljust(1000000000) }}",
    "{{ 'xx' | replace('x', 'y' * 9) }}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ range(1000000000) | list }}",
    "{% for a in range(9999) %}" * 3 + "{% endfor %}" * 3,
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{% include '../../secret' %}",
    "{% include '/etc/hostname' %}",
    "{% import 'os' as os %}",
    "{% set entries[0].review.text = 'x' %}",
    "{{ lipsum(1000) }}",
    "{% set n = namespace(a=1) %}",
    "{{ [1, 2] }}",
    "{{ entries }}",
    "{{ item }}",
    DOUBLED,
    DOUBLED_BLOCKS,
    DOUBLED_LISTS + "{{ a }}",
    DOUBLED_LISTS + "{{ a | join }}",
    DOUBLED_LISTS + "{{ a ~ a }}",
    SQUARED,
    "(" * 3000 + "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{% if true %}" * 300 + "{% endif %}" * 300,
    "{% for a in [1] %}" * 60 + "{% endfor %}" * 60,
]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(TEMPLATES / "rag", tmp_path / "own" / "rag")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own"


@pytest.mark.parametrize("part", ["entry", "head"])
@pytest.mark.parametrize("words", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_reading_and_formatting_is_one_line(make_context, own: Path, words: str, part: str) -> None:
    (own / "rag" / f"{part}.jinja").write_text(words)
    with pytest.raises(ConfigError) as found:
        render("rag", make_context(2), PromptConfig(templates=own))
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 500
    assert [path.name for path in Path().iterdir()] == ["own"]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("{{ entries | map(attribute='review.text') | join(' / ') | upper }}", "PAST WORDS 0 AND MORE AND MORE / PAST"),
        ("{% for e in entries %}{{ loop.index }}:{{ e.peer_scope }} {% endfor %}", "1:item 2:item "),
        ("{{ item.title.split()[0] ~ '-' ~ 2 }}", "New-2"),
        ("{{ 'a' + 'b' }}{{ 7 // 2 }}{{ 2 ** 3 }}{{ 'b' * 0 if false else '' }}", "ab38"),
        ("{% for key, value in {'a': 1}.items() %}{{ key }}{{ value }}{% endfor %}", "a1"),
        ("{{ range(3) | join(',') }}{{ 'x-y' | replace('-', '+') }}", "0,1,2x+y"),
        ("{% macro twice(t) %}{{ t }}{{ t }}{% endmacro %}{{ twice('ab') }}", "abab"),
        ("{{ sample.rating | round(1) }} {{ entries | length }}", "4.5 2"),
    ],
)
def test_reading_and_formatting_works(make_context, own: Path, words: str, shown: str) -> None:
    (own / "rag" / "head.jinja").write_text(words)
    text = render("rag", make_context(2), PromptConfig(templates=own)).messages[1].text
    assert text.startswith(shown)


def test_a_file_that_includes_itself_is_one_line(make_context, own: Path) -> None:
    (own / "rag" / "head.jinja").write_text("{% include 'rag/head.jinja' %}")
    with pytest.raises(ConfigError, match="nested too deeply"):
        render("rag", make_context(1), PromptConfig(templates=own))


def test_many_files_that_include_each_other_end_soon(make_context, own: Path) -> None:
    for k in range(40):
        (own / "rag" / f"t{k}.jinja").write_text(f"{{% include 'rag/t{k + 1}.jinja' %}}" * 2)
    (own / "rag" / "t40.jinja").write_text("")
    (own / "rag" / "head.jinja").write_text("{% include 'rag/t0.jinja' %}")
    with pytest.raises(ConfigError, match="no more than"):
        render("rag", make_context(1), PromptConfig(templates=own))


def test_a_link_that_leads_out_of_the_folder_is_not_read(make_context, own: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("my secret")
    (own / "rag" / "head.jinja").unlink()
    os.symlink(tmp_path / "secret", own / "rag" / "head.jinja")
    with pytest.raises(ConfigError, match="leads out of its folder"):
        render("rag", make_context(1), PromptConfig(templates=own))
    with pytest.raises(ConfigError, match="leads out of its folder"):
        digest(PromptConfig(templates=own))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * (2**18 + 1)])
def test_a_file_that_is_no_template_is_one_line(make_context, own: Path, content: bytes) -> None:
    (own / "rag" / "head.jinja").write_bytes(content)
    with pytest.raises(ConfigError, match=r"not UTF-8|larger than"):
        render("rag", make_context(1), PromptConfig(templates=own))
    with pytest.raises(ConfigError, match=r"not UTF-8|larger than"):
        digest(PromptConfig(templates=own))


def test_a_folder_named_like_a_template_is_none(own: Path) -> None:
    before = digest(PromptConfig(templates=own))
    (own / "more.jinja").mkdir()
    assert digest(PromptConfig(templates=own)) == before


def test_no_vector_reaches_a_template(make_context, own: Path) -> None:
    assert isinstance(make_context(1).entries[0].e_his, np.ndarray)
    (own / "rag" / "entry.jinja").write_text("{{ entry.e_diff is none }}")
    with pytest.raises(ConfigError, match="may not read 'e_diff'"):
        render("rag", make_context(1), PromptConfig(templates=own))
