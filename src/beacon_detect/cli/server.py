"""``beacon-detect server``: runs the control plane in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from beacon_detect.cli.options import config_option

if TYPE_CHECKING:
    from pathlib import Path

    from beacon_detect.cli.session import Session


@click.command("server")
@config_option
@click.pass_obj
def command(session: Session, config_file: Path | None) -> None:
    """Run the control plane.

    Takes telemetry, finds beacons, raises alerts and serves the API on
    control_plane.listen_address and listen_port (default 127.0.0.1:9090).
    SIGHUP reads the configuration again; SIGTERM or Ctrl-C ends it.

    \b
    Example:
      beacon-detect server -c /etc/beacon-detect/config.yaml
    """
    session.daemon = True
    from beacon_detect.config import load_config
    from beacon_detect.control_plane.server import serve

    serve(load_config(config_file))
