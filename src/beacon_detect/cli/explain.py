"""``beacon-detect explain``: one pair in full, flagged or not, live or out of files.

The live pair is explained by the control plane; for files, readers and analysis
are imported when the verb runs.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from beacon_detect.cli.explanation_text import explanation_lines
from beacon_detect.cli.file_options import file_options, hunt_options, reading_options
from beacon_detect.cli.output import use_colour
from beacon_detect.cli.pictures import palette_for

if TYPE_CHECKING:
    from beacon_detect.cli.session import Session

_NAME = re.compile(r"(?=.*[A-Za-z])[\w.-]{1,253}")
"""A destination that is no address, and may be a name."""
LEAST_WIDTH, MOST_WIDTH = 60, 100
PROTOCOLS = ("tcp", "udp", "icmp", "icmpv6")


class Pair(NamedTuple):
    """A pair as it was typed; None where it was not said."""

    src: str
    dst: str
    port: int | None
    protocol: str | None


@click.command("explain")
@click.argument("what", nargs=-1, required=True, metavar="ID | SRC DST[:PORT] [PORT] [PROTO]")
@click.option(
    "--protocol", metavar="NAME",
    help="Protocol of the pair: tcp, udp, icmp, icmpv6 or a number.",
)  # fmt: skip
@click.option(
    "--file", "paths", multiple=True, metavar="PATH",
    help="Explain a pair of this capture or log, without a control plane; may be repeated.",
)  # fmt: skip
@file_options
@reading_options
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="Format: text, or json (the API's answer).",
)  # fmt: skip
@click.pass_obj
def command(
    session: Session,
    /,
    what: tuple[str, ...],
    protocol: str | None,
    paths: tuple[str, ...],
    output: str,
    **options: Any,
) -> None:
    """Explain one pair: why it is flagged, or why not.

    Takes the id of a finding, or a pair as the lists show it: source (the side
    that opens connections), destination, and port and protocol where there is
    more than one pair between the two. An IPv6 address with a port stands in
    brackets. In files the destination may be a name: all its addresses together.

    \b
    Example:
      beacon-detect explain 10.0.0.100 203.0.113.50:443
      beacon-detect explain 10.0.0.100 203.0.113.50 443 TCP -o json
      beacon-detect explain --file capture.pcap 10.0.0.17 203.0.113.99:80

    Options from --since to --map are about the files of --file, and mean what they
    mean to analyze.
    """
    if not paths:
        _refuse(options)
    answer = _of_files(paths, options, what, protocol) if paths else _live(session, what, protocol)
    if output == "json":
        click.echo(json.dumps(answer, indent=2))
        return
    width = min(max(shutil.get_terminal_size().columns, LEAST_WIDTH), MOST_WIDTH)
    palette = palette_for(getattr(sys.stdout, "encoding", None))
    click.echo("\n".join(explanation_lines(answer, width, palette, colour=use_colour())))


def _refuse(options: dict[str, Any]) -> None:
    """Refuse options about files where a live pair is asked for: the control plane has its own."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if parameter.name in options and given:
            raise click.UsageError(f"{parameter.opts[0]} is about the files of --file")


def _live(session: Session, what: tuple[str, ...], protocol: str | None) -> dict[str, Any]:
    from beacon_detect.cli.client import Client

    if len(what) == 1:
        if protocol:
            raise click.UsageError("--protocol belongs to a pair, and an id says which")
        wanted: dict[str, Any] = {"id": what[0]}
    else:
        pair = parse_pair(what, protocol)
        wanted = {"src": pair.src, "dst": pair.dst, "dst_port": pair.port, "protocol": pair.protocol}  # fmt: skip
    with Client(session) as client:
        return client.get("explain", **wanted)


def _of_files(
    paths: tuple[str, ...], options: dict[str, Any], what: tuple[str, ...], protocol: str | None
) -> dict[str, Any]:
    from beacon_detect.cli.progress import ProgressLine
    from beacon_detect.control_plane.pair_choice import PairQuery
    from beacon_detect.hunt.explain import explain_in_files, is_address
    from beacon_detect.records import pack_address, protocol_number, unpack_address

    if len(what) == 1:
        raise click.UsageError("a pair in files is named by source and destination; ids are live")
    pair = parse_pair(what, protocol, names=True)
    # As records spell addresses, so that the answer names them as lists do.
    src, dst = (
        unpack_address(pack_address(end)) if is_address(end) else end
        for end in (pair.src, pair.dst)
    )
    number = None if pair.protocol is None else protocol_number(pair.protocol)
    query = PairQuery(src, dst, pair.port, number)
    with ProgressLine() as progress:
        wanted = replace(hunt_options(options), tell=progress.tell)
        made = explain_in_files(paths, query, wanted, progress)
    return made.model_dump()


def parse_pair(words: tuple[str, ...], protocol: str | None, *, names: bool = False) -> Pair:
    """Return the pair that words mean: ``SRC DST[:PORT] [PORT] [PROTO]``.

    With ``names``, the destination may be a name instead of an address.

    Raises
    ------
    click.UsageError
        They mean none.
    """
    import ipaddress

    src, dst, *rest = words
    dst, port = _destination(dst)
    if rest and rest[0].isdecimal() and port is None:
        port = int(rest.pop(0))
    if rest and protocol is None:
        protocol = rest.pop(0)
    if rest:
        raise click.UsageError(f"{' '.join(rest)!r} is more than source, destination, port and protocol")  # fmt: skip
    for address in (src,) if names and _NAME.fullmatch(dst) else (src, dst):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise click.UsageError(f"{address!r} is no IP address") from None
    if port is not None and port > 65_535:
        raise click.UsageError(f"{port} is no port (0 to 65535)")
    return Pair(src, dst, port, _protocol(protocol))


def _destination(text: str) -> tuple[str, int | None]:
    """Split ``address[:port]``; an IPv6 address with a port stands in brackets."""
    head, colon, port = text.rpartition(":")
    bracketed = head.startswith("[") and head.endswith("]")
    if colon and port.isdecimal() and (bracketed or ":" not in head):
        return head.strip("[]"), int(port)
    return text.removeprefix("[").removesuffix("]"), None


def _protocol(text: str | None) -> str | None:
    if text is None or text.lower() in PROTOCOLS or (text.isdecimal() and int(text) <= 255):
        return text
    raise click.UsageError(f"{text!r} is no protocol: {', '.join(PROTOCOLS)} or a number")
