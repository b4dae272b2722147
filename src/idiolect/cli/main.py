"""The command line: a table of commands, each imported when it is called, and one place where errors become lines."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

from cyclopts import App, CycloptsError, Group, Parameter, UnusedCliTokensError, ValidationError
from rich.console import Console
from rich.text import Text

from idiolect.cli.options import BEHIND_DASHES, OPTIONS
from idiolect.errors import IdiolectError, visible
from idiolect.version import __version__

COMMANDS = {
    "demo": "Run the whole thing on a small made-up world; without PyTorch, what needs no model.",
    "sandbox": "Fill a store with a made-up world whose differences are known.",
    "ingest": "Read a file of reviews (and items) into a store.",
    "add": "Add one review to a store, vector and sums included.",
    "split": "Choose users and hold out their newest reviews.",
    "embed": "Compute the vectors that a store is missing.",
    "pretrain": "Train a small language model from scratch on a store's reviews.",
    "fit": "Fit a soft-prompt adapter on a split.",
    "import-adapter": "Make an adapter of the DEP authors' released weights.",
    "write": "Write a review as a user would.",
    "evaluate": "Compare methods and controls on a split's test targets.",
    "score": "Score texts that were made elsewhere, with intervals and tests.",
    "compare": "Compare evaluations, or any two conditions of one.",
    "explain": "Show how a user differs and on what evidence, or what an adapter's units mean.",
    "table": "Run a table or figure of the papers, next to the published one.",
    "study": "Measure, in worlds with ground truth, whether differences identify a user.",
    "peer": "Say whether others may be compared with a user, or change it.",
    "correct": "Mute or correct a difference that is claimed of a user, or undo it.",
    "forget": "Erase a user for good, with a receipt.",
    "export": "Write a store as Parquet files.",
    "import": "Read exported Parquet files into a store.",
    "differences": "Compare every review of an export with its peers, as Parquet.",
    "studio": "Open a page that shows how users differ and what methods write.",
    "serve": "Answer OpenAI's clients, REST and MCP in users' voices.",
    "mcp": "Give an agent on this machine tools for users' voices (MCP).",
    "keys": "Make, list, rotate or revoke API keys of the server.",
    "doctor": "Say what works on this machine and what is missing, or look a store over.",
}
EXAMPLES = {
    "demo": "idiolect demo --out demo",
    "sandbox": "idiolect sandbox --store world.db --set n_users=300",
    "ingest": "idiolect ingest reviews.jsonl.gz --items meta.jsonl.gz --column user=reviewerID",
    "add": 'idiolect add --user ann --item B2 --text "Not bad, I guess." --rating 4',
    "split": "idiolect split --out split --preset dpl --set min_user_reviews=10",
    "embed": "idiolect embed --encoder BAAI/bge-m3 --split split",
    "pretrain": "idiolect pretrain --out backbone --split split --set size=9m",
    "fit": "idiolect fit --split split --out adapter --backbone Qwen/Qwen2.5-7B-Instruct --encoder BAAI/bge-m3",
    "import-adapter": "idiolect import-adapter DEP-model --out adapter",
    "write": "idiolect write --user ann --item B1 --rating 4 --adapter adapter",
    "evaluate": "idiolect evaluate --split split --adapter adapter --out results",
    "score": "idiolect score predictions.jsonl --baseline rag --metrics rougeL meteor",
    "compare": "idiolect compare results other-results --metrics rougeL",
    "explain": "idiolect explain ann",
    "table": "idiolect table dep/table-1 --profile sandbox",
    "study": "idiolect study --out study --jobs 2",
    "peer": "idiolect peer ann --exclude",
    "correct": 'idiolect correct ann --difference exclamations --text "Only about jam."',
    "studio": "idiolect studio --store idiolect.db",
    "serve": "idiolect serve --store idiolect.db",
    "keys": "idiolect keys list",
    "mcp": "idiolect mcp --store idiolect.db",
    "forget": "idiolect forget ann",
    "export": "idiolect export --out folder",
    "import": "idiolect import folder --store copy.db",
    "differences": "idiolect differences folder --out differences --engine ray",
    "doctor": "idiolect doctor --store idiolect.db",
}
"""A line per command, shown below its help."""
_GROUPS = {
    "Reviews and users": (
        "ingest",
        "add",
        "embed",
        "split",
        "export",
        "import",
        "differences",
        "peer",
        "correct",
        "forget",
        "doctor",
    ),
    "Write, explain and measure": (
        *("fit", "import-adapter", "write", "studio", "explain"),
        *("evaluate", "score", "compare"),
    ),
    "Serve": ("serve", "mcp", "keys"),
    "Tables of the papers, studies, made-up users": ("demo", "table", "study", "sandbox", "pretrain"),
}
"""Order of the commands in the help."""
_START = """Example:
  idiolect ingest reviews.csv && idiolect write --user ann --item B1 --method rag"""
_MODULES = {
    "data": ("ingest", "add", "split", "embed", "peer", "correct", "forget", "export", "import", "differences"),
    "models": ("pretrain", "fit", "import-adapter", "write"),
    "results": ("evaluate", "score", "compare", "explain"),
    "server": ("serve", "studio", "mcp", "keys"),
    "world": ("demo", "sandbox", "table", "study", "doctor"),
}
"""Where the commands are; each is a function of its name."""
_FUNCTIONS = {"import": "import_", "import-adapter": "import_adapter"}
"""Commands whose names are no names of Python's."""
_TAKE_IDS = ("explain", "forget", "peer", "correct")
_NOT_UNDERSTOOD, _BAD_INPUT, _NO_ACCESS = 1, 3, 8
_REMEDIES = {
    errno.ENOSPC: "make room on the disk, and run the same again",
    errno.EDQUOT: "make room on the disk, and run the same again",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
    errno.ENAMETOOLONG: "use a shorter name",
}


def build_app() -> App:
    """The command line; commands are imported when they are called."""
    app = App(
        name="idiolect",
        help="Difference-aware personalization: learn a user from how they differ from others on the same thing.",
        help_epilogue=_START,
        version=__version__,
        result_action="return_value",
        # Ids, texts and titles may begin with a dash. Of the defaults only those that say something are shown.
        default_parameter=Parameter(allow_leading_hyphen=True, show_default=_shown_default),
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,  # ``main`` says what to do next
    )
    modules = {name: module for module, names in _MODULES.items() for name in names}
    titled = {title: Group(title, sort_key=at) for at, title in enumerate(_GROUPS)}
    groups = {name: titled[title] for title, names in _GROUPS.items() for name in names}
    for name, summary in COMMANDS.items():
        app.command(
            f"idiolect.cli.{modules[name]}:{_FUNCTIONS.get(name, name)}",
            name=name,
            help=summary,
            group=groups.get(name),
            sort_key=list(groups).index(name) if name in groups else None,
            help_epilogue=f"Example:\n  {EXAMPLES[name]}" if name in EXAMPLES else None,
        )
    app["--help"].group = app["--version"].group = Group("Options", sort_key=len(titled))
    return app


def _shown_default(value: object) -> str | None:
    if value is None or value is False or value in ("", ()):
        return None
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def main(tokens: Sequence[str] | None = None) -> None:
    """Run a command; a user's mistake ends in one line on standard error and an exit code, never in a traceback."""
    words = list(sys.argv[1:] if tokens is None else tokens)
    _make_safe(words)
    app = build_app()
    OPTIONS.of = partial(_options, app, words)
    try:
        app(words)
    except IdiolectError as error:
        _end(OPTIONS.spell(error.message), OPTIONS.spell(error.hint), error.exit_code)
    except CycloptsError as error:
        _end(*_misread(app, words, error), _NOT_UNDERSTOOD)
    except KeyboardInterrupt:
        print("interrupted; run the same command again: what was finished is not done twice", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        _end(*_failed(error), _NO_ACCESS)
    except (ValueError, RecursionError, MemoryError) as error:
        if (said := _unusable(error)) is None:  # a fault of this program
            raise
        _end(*said)


def _unusable(error: Exception) -> tuple[str, str, int] | None:
    """What was wrong with a name or a value, what helps, and the exit code; None if nothing of the user's was."""
    if isinstance(error, UnicodeEncodeError):  # a word of the command line, or a setting
        return f"{error.object[: error.end]!r} is not UTF-8 text", "write ids, texts and names in UTF-8", _BAD_INPUT
    if isinstance(error, RecursionError):
        return "something that was read is nested too deeply", "take out the row or setting that nests", _BAD_INPUT
    if isinstance(error, MemoryError):
        return "there is not enough memory for this", "close other programs, or take less at once", _NO_ACCESS
    if "embedded null" in str(error):  # "null byte", and "null character" since Python 3.13
        return "a name holds a NUL character, which no file has", "take it out", _BAD_INPUT
    return None


def _make_safe(words: list[str]) -> None:
    """Let no text upset the terminal: what it cannot show is escaped, in log lines and results alike."""
    BEHIND_DASHES.clear()
    BEHIND_DASHES.update(words[words.index("--") + 1 :] if "--" in words else ())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if logging.lastResort is not None:  # shows what no other handler takes
        logging.lastResort.setFormatter(_Visible())


class _Visible(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return OPTIONS.spell(visible(super().format(record)))


def _end(message: str, hint: str, code: int) -> NoReturn:
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    errors.print(Text.assemble(("error:", "bold red"), " ", visible(message, one_line=True)))
    if hint:
        errors.print(Text.assemble(("hint:", "bold"), "  ", visible(hint, one_line=True)))
    sys.exit(code)


def _misread(app: App, words: list[str], error: CycloptsError) -> tuple[str, str]:
    """What is wrong with a command line, and what helps."""
    command = next((word for word in words if not word.startswith("-")), "")
    if command not in COMMANDS:
        return str(error), "idiolect --help lists the commands"
    hint = f"idiolect {command} --help shows the options"
    if command in _TAKE_IDS:
        hint += f"; an id that begins with -- goes last: idiolect {command} [options] -- ID"
    if isinstance(error, UnusedCliTokensError | ValidationError) and (unknown := _unknown_option(app, command, words)):
        return f"unknown option: {unknown}", hint
    return " ".join(str(error).split()), hint


def _options(app: App, words: list[str]) -> frozenset[str]:
    """The options of the command that the words call; none if they call none."""
    command = next((word for word in words if not word.startswith("-")), "")
    if command not in COMMANDS:
        return frozenset()
    return frozenset(name for argument in app[command].assemble_argument_collection() for name in argument.names)


def _unknown_option(app: App, command: str, words: list[str]) -> str:
    """The first word that looks like an option of the command and is none; it was taken for an id."""
    head = words[: words.index("--")] if "--" in words else words
    known = _options(app, [command])
    return next((w for w in head if w.startswith("--") and w.partition("=")[0] not in {*known, "--help"}), "")


def _failed(error: OSError) -> tuple[str, str]:
    """What an error of the operating system says, with the file if it names one."""
    said = error.strerror or str(error) or type(error).__name__
    message = said if error.filename is None else f"{os.fsdecode(error.filename)}: {said}"
    return message, _REMEDIES.get(error.errno or 0, "name a place that is free, and that you may write to")


if __name__ == "__main__":
    main()
