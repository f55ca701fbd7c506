"""The command `engine`: the only place that prints or exits."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from engine.console import lose, open_missing, stderr, told
from engine.errors import EngineError, Halt, Refused

USAGE, HALTED, REFUSED, DEFECT = 2, 3, 4, 70


def main() -> None:
    """The entry point: every way out has its exit code, none a traceback."""
    open_missing()
    try:
        code = group.main(prog_name="engine", standalone_mode=False)
    except click.ClickException as error:
        with suppress(OSError):  # a stderr that is gone or full
            error.show()
        code = USAGE
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = 130
    except Refused as error:
        stderr(f"engine: {error}")
        code = REFUSED
    except Halt as error:
        stderr(f"engine: {told(error)}")
        code = HALTED
    except EngineError as error:
        stderr(f"engine: {error}")
        code = USAGE
    except (BrokenPipeError, SystemExit):  # click makes the one into the other
        code = HALTED
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if os.environ.get("ENGINE_DEBUG") and not full:
            raise
        stderr(f"engine: cannot write: {os.strerror(errno.ENOSPC)}" if full else _defect(error))
        code = HALTED if full else DEFECT
    _leave(code if isinstance(code, int) else 0)


def _leave(code: int) -> None:
    """Exits, and never fails. What was asked for and could not be written is no success."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # a run's report, which does not count, is lost before
        lose(sys.stdout)
        code = code or HALTED
    except (OSError, ValueError) as error:
        lose(sys.stdout)
        stderr(f"engine: cannot write to stdout: {getattr(error, 'strerror', None) or error}")
        code = code or HALTED
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        lose(sys.stderr)
    sys.exit(code)


def _defect(error: Exception) -> str:
    """What to report, without a word of the data: type, place and version."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else "?"
    return (
        f"engine: a defect of ours: {type(error).__name__} at {place}, version {version('engine')}. "
        "Please report this line; ENGINE_DEBUG=1 shows more (it may show data)."
    )


@click.group(name="engine", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="engine", prog_name="engine")
def group() -> None:
    """Carries records from files and APIs into vendors, as YAML files say."""


FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
FILE = click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
SETS = click.option("--set", "sets", multiple=True, metavar="K=V", help="Override one of the file's vars.")
ENV = click.option("--env", metavar="NAME", help="Overlay the file with one of its environments.")
STATE = click.option("--state", type=click.Path(path_type=Path), metavar="DIR", help="Where checkpoints are kept.")
JSON = click.option("--json", "as_json", is_flag=True, help="Data on stdout, one JSON document a line.")


@group.command()
@FILES
@SETS
@ENV
@click.option("--sandbox", is_flag=True, help="Send to the built-in pretend vendors, in this process.")
@click.option("--fault", "faults", multiple=True, metavar="JSON", help="A fault of the pretend vendors.")
@click.option("--dry-run", is_flag=True, help="Print the exact requests, send nothing, leave the state alone.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read at most N rows of each source.")
@click.option("--fresh", is_flag=True, help="Forget the checkpoint and start from the beginning.")
@STATE
@JSON
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="Write the run report there.")
@click.option("--no-progress", is_flag=True, help="No progress display.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, metavar="N", help="Share it by N processes.")
def run(**options: Any) -> int:
    """Run pipelines; a second start resumes where the first was cut off."""
    from engine.commands.run import run_files

    return run_files(**options)


@group.command()
@FILES
@SETS
@ENV
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "sarif"]), default="text", help="How findings are shown."
)
def check(**options: Any) -> int:
    """Find everything that can be known to be wrong without sending."""
    from engine.commands.check import check_files

    return check_files(**options)


@group.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on loopback; 0 picks a free one.")
@click.option("--fault", "faults", multiple=True, metavar="JSON", help="A fault of the pretend vendors.")
def sandbox(port: int, faults: Sequence[str]) -> int:
    """Serve the pretend vendors on loopback until interrupted; prints `name url` lines."""
    from engine.commands.sandbox import serve

    return serve(port, faults)


@group.group()
def dead() -> None:
    """Look at what was refused and why; send it again."""


@dead.command("list")
@FILE
@click.option("--all", "every", is_flag=True, help="Those of earlier runs, too.")
@JSON
def dead_list(file: Path, every: bool, as_json: bool) -> int:
    """Group the dead letters of a pipeline by code and field."""
    from engine.commands.dead import list_letters

    return list_letters(file, every, as_json)


@dead.command("show")
@FILE
@click.argument("letter", required=False)
@JSON
def dead_show(file: Path, letter: str | None, as_json: bool) -> int:
    """List the dead letters, or show one whole, by its id or the beginning of it."""
    from engine.commands.dead import show_letters

    return show_letters(file, letter, as_json)


@dead.command("replay")
@FILE
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only this one; the beginning of its id will do.")
@click.option("--dry-run", is_flag=True, help="Print the exact requests, send nothing, leave the state alone.")
@click.option("--sandbox", is_flag=True, help="Send to the built-in pretend vendors, in this process.")
@click.option("--fault", "faults", multiple=True, metavar="JSON", help="A fault of the pretend vendors.")
@SETS
@ENV
@STATE
@JSON
def dead_replay(**options: Any) -> int:
    """Send what was refused again, with the mapping as it is now. It may overwrite newer data at the vendor."""
    from engine.commands.dead import replay_letters

    return replay_letters(**options)


@group.group()
def state() -> None:
    """Look at where a pipeline stands, or make it start anew."""


def _state_command(name: str, act: str, text: str) -> None:
    @state.command(name, help=text)
    @FILE
    @STATE
    @JSON
    def command(**options: Any) -> int:
        from engine.commands import state as commands

        function: Callable[..., int] = getattr(commands, act)
        return function(**options)


_state_command("show", "show", "Show the checkpoint and the last runs of a pipeline.")
_state_command("reset", "reset", "Forget the checkpoint: the next run starts from the beginning.")


@group.command()
@click.argument("name", required=False)
@JSON
@click.option("--page", is_flag=True, help="Everything that is built in as a page of Markdown.")
def plugins(name: str | None, as_json: bool, page: bool) -> int:
    """Say what exists: types, actions, settings, limits; what a filter, test or function does."""
    from engine.commands.plugins import show

    return show(name, as_json, page)


@group.command()
@click.argument("name", required=False)
def schema(name: str | None) -> int:
    """Print the JSON Schema of a pipeline file, or of a part, for editors."""
    from engine.commands.plugins import print_schema

    return print_schema(name)


@group.command()
@click.argument("code", required=False)
@JSON
@click.option("--page", is_flag=True, help="All codes as a page of Markdown.")
def explain(code: str | None, as_json: bool, page: bool) -> int:
    """Say what a code means and what to do, with a wrong and a right example."""
    from engine.commands.explain import explain as say

    return say(code, as_json, page)


@group.command()
@FILES
@SETS
@ENV
@click.option("--coverage", is_flag=True, help="List fields, branches of `when` and answers that no test reaches.")
@click.option("--accept", is_flag=True, help="Write what was found into the file as what is expected.")
@click.option("--record", metavar="N|FILE", help="Write a test from the first N records, or from a file of records.")
@JSON
def test(**options: Any) -> int:
    """Run the tests of the files; nothing leaves the machine."""
    from engine.commands.test import test_files

    return test_files(**options)


@group.command("try")
@FILE
@click.option("--record", required=True, metavar="JSON", help="A record; @FILE reads it from a file, @- from stdin.")
@click.option("--mapping", metavar="NAME", help="Only this mapping.")
@click.option("--lookups", metavar="JSON", help="Values of lookups, by name; others ask the pretend vendors.")
@click.option("--watch", is_flag=True, help="Again whenever the file changes.")
@SETS
@ENV
def attempt(file: Path, watch: bool, **options: Any) -> int:
    """Show what becomes of one record: each field with its value and type, and the requests."""
    import time

    from engine.commands.attempt import try_file
    from engine.commands.attempt import watch as watching

    if not watch:
        return try_file(file, **options)
    return watching(file, lambda: try_file(file, **options), time.sleep, lambda: True)


@group.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="[DIR]")
def init(folder: Path) -> int:
    """Make a working project with one pipeline, its data and its tests."""
    from engine.commands.init import make_project

    return make_project(folder)
