"""The command line: a table of commands, each imported when it is called, and one place where errors become lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App
from rich.console import Console

from idiolect.errors import IdiolectError
from idiolect.version import __version__

COMMANDS = {
    "demo": "Run the whole thing on a small made-up world: no network, no GPU, a few minutes.",
    "sandbox": "Fill a store with a made-up world whose differences are known.",
    "ingest": "Read a file of reviews (and items) into a store.",
    "add": "Add one review to a store, vector and sums included.",
    "split": "Choose users and hold out their newest reviews.",
    "embed": "Compute the vectors that a store is missing.",
    "pretrain": "Train a small language model from scratch on a store's reviews.",
    "fit": "Fit a soft-prompt adapter on a split.",
    "write": "Write a review as a user would.",
    "evaluate": "Compare methods and controls on a split's test targets.",
    "score": "Score texts that were made elsewhere, with intervals and tests.",
    "compare": "Compare evaluations, or any two conditions of one.",
    "explain": "Show how a user differs from others, on what evidence; or have people judge such claims.",
    "study": "Measure, in worlds with planted truth, whether differences identify a user.",
    "peer": "Say whether others may be compared with a user, or change it.",
    "forget": "Erase a user for good, with a receipt.",
    "export": "Write a store as Parquet files.",
    "import": "Read exported Parquet files into a store.",
    "doctor": "Say what works on this machine and what is missing, or look a store over.",
}
_MODULES = {"import": "import_"}
"""Commands whose names Python keeps for itself."""
_NO_ACCESS = 8


def build_app() -> App:
    """The command line, nothing of it imported but names and summaries."""
    app = App(
        name="idiolect",
        help="Difference-aware personalization: learn a user from how they differ from others on the same thing.",
        version=__version__,
        result_action="return_value",
        suppress_keyboard_interrupt=False,  # ``main`` says what to do next
    )
    for name, summary in COMMANDS.items():
        module = _MODULES.get(name, name)
        app.command(f"idiolect.cli.{module}:{module}", name=name, help=summary)
    return app


def main(tokens: Sequence[str] | None = None) -> None:
    """Run a command; a user's mistake ends in one line on standard error and an exit code, never in a traceback."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        build_app()(tokens)
    except IdiolectError as error:
        errors.print(f"[bold red]error:[/] {_plain(error.message)}")
        if error.hint:
            errors.print(f"[bold]hint:[/]  {_plain(error.hint)}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        errors.print("interrupted; run the same command again: what was finished is not done twice")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.filename is None:  # not about a file that somebody named
            raise
        errors.print(f"[bold red]error:[/] {_plain(f'{error.filename}: {error.strerror or error}')}")
        errors.print("[bold]hint:[/]  name a place that is free, and that you may write to")
        sys.exit(_NO_ACCESS)


def _plain(text: str) -> str:
    """Text in which rich sees no markup."""
    return text.replace("[", r"\[")


if __name__ == "__main__":
    main()
