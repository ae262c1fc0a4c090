"""The command ``beacon-detect``: its verbs, what they share, and how it ends.

A verb's module is imported when the verb runs, so that ``--help`` loads
nothing beyond click; the one-line helps in the list of verbs are kept here and
a test holds them equal to the verbs' own. Every way to end has its exit code
(``docs/reference/exit-codes.md``).
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from beacon_detect import __version__
from beacon_detect.cli.session import Session
from beacon_detect.errors import BeaconError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "beacon-detect"
LOOK = "Look at a control plane"


class Verb(NamedTuple):
    """Where a verb lives, and its line in the list of verbs."""

    module: str
    summary: str


SECTIONS: dict[str, dict[str, Verb]] = {
    "Hunt in files": {
        "analyze": Verb("analyze", "Find beacons in captures and logs."),
        "replay": Verb("replay", "Feed captures and logs through a control plane."),
        "demo": Verb("demo", "Show what a hunt looks like, on made-up data."),
    },
    LOOK: {
        "status": Verb("status", "Show whether the system is live, its counters and losses."),
        "beacons": Verb("beacons", "Show detected beacons, highest risk first."),
        "explain": Verb("explain", "Explain one pair: why it is flagged, or why not."),
        "alerts": Verb("alerts", "Show the alerts that were raised, newest first."),
        "connections": Verb("connections", "Show all tracked pairs, most connections first."),
        "long-conns": Verb("long_conns", "Show long single connections, longest first."),
        "watch": Verb("watch", "Watch beacons live; Ctrl-C ends it."),
    },
    "Run": {
        "up": Verb("up", "Run sensor and control plane on this machine until Ctrl-C."),
        "server": Verb("server", "Run the control plane."),
        "sensor": Verb("sensor", "Run the sensor (needs root or capabilities)."),
    },
    "Set up": {
        "config": Verb("config", "Check and show the configuration."),
    },
}
VERBS = {name: verb for section in SECTIONS.values() for name, verb in section.items()}


class _Verbs(click.Group):
    """A group that knows its verbs without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        command: click.Command = import_module(f"beacon_detect.cli.{verb.module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            # click looks for similar names among the commands it has loaded: none, here.
            raise click.NoSuchCommand(error.command_name, possibilities=VERBS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, verb.summary) for name, verb in verbs.items()])


@click.group(
    NAME,
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Each verb explains itself: beacon-detect VERB --help.",
)
@click.option(
    "--host", default="localhost", show_default=True, metavar="NAME",
    help="Host name or address of the control plane.",
)  # fmt: skip
@click.option(
    "--port", default=9090, show_default=True, type=click.IntRange(1, 65535), metavar="PORT",
    help="Port of the control plane.",
)  # fmt: skip
@click.option(
    "--token-file", type=click.Path(path_type=Path), metavar="FILE",
    help="File with the API token; without it the variable BEACON_API_TOKEN counts.",
)  # fmt: skip
@click.option("--debug", is_flag=True, help="Show tracebacks of failures.")
@click.version_option(__version__, prog_name=NAME)
@click.pass_context
def cli(context: click.Context, host: str, port: int, token_file: Path | None, debug: bool) -> None:
    """Find command-and-control beacons on this machine or network.

    \b
    Example:
      beacon-detect up                       (in one terminal, as root)
      beacon-detect watch                    (in another)
      beacon-detect --host 192.0.2.7 beacons --min-score 0.8
    """
    session: Session = context.obj
    session.host, session.port = host, port
    session.token_file, session.debug = token_file, debug
    verb = context.invoked_subcommand
    given = context.get_parameter_source
    named = [o for o in ("host", "port") if given(o) is click.core.ParameterSource.COMMANDLINE]
    if named and verb not in {*SECTIONS[LOOK], "replay"}:
        raise click.UsageError(
            f"--{named[0]} names a control plane to look at, which `{verb}` does not do;"
            " addresses to listen on and to send to are settings of the configuration"
        )


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; failures are told on stderr."""
    session = Session()
    try:
        try:
            with cli.make_context(NAME, list(arguments), obj=session) as context:
                cli.invoke(context)
        except click.exceptions.Exit as ended:
            _flush()
            return ended.exit_code
        _flush()
    except BrokenPipeError:
        # The reader went away (`| head`): nobody is left to tell.
        _abandon_stdout()
        return ExitCode.BROKEN_PIPE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 (the last stop: every failure is told, none as a traceback)
        return _tell(error, session)
    return ExitCode.OK


def _flush() -> None:
    if sys.stdout is not None:  # closed by the caller: `>&-`
        sys.stdout.flush()


def _abandon_stdout() -> None:
    """Keep what is still buffered from failing again when the interpreter flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_full_output(error: Exception) -> bool:
    # A file that is opened has a name; a stream that is written has none.
    full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    return full and getattr(error, "filename", None) is None


def _tell(error: Exception, session: Session) -> int:
    if _is_full_output(error) and not session.daemon:
        error = BeaconError(f"the output cannot be written: {os.strerror(errno.ENOSPC)}")
        _abandon_stdout()
    expected = isinstance(error, BeaconError)
    if session.debug or (session.daemon and not expected):
        import traceback

        traceback.print_exception(error)
    if expected:
        click.echo(f"error: {error}", err=True)
    else:
        click.echo(f"error: unexpected {type(error).__name__}: {error}", err=True)
        click.echo("  hint: this is a fault of beacon-detect; --debug shows where", err=True)
    return error.exit_code if isinstance(error, BeaconError) else ExitCode.FAILURE


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    # What cannot be shown in the terminal's encoding must not end a command.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if "_BEACON_DETECT_COMPLETE" in os.environ:
        cli.main(prog_name=NAME)  # shell completion answers and exits
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
