"""``beacon-detect sensor``: runs the data plane in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from beacon_detect.cli.options import config_option

if TYPE_CHECKING:
    from pathlib import Path

    from beacon_detect.cli.session import Session


@click.command("sensor")
@config_option
@click.pass_obj
def command(session: Session, config_file: Path | None) -> None:
    """Run the sensor (needs root or capabilities).

    Watches this host's connections with the process behind each, or an
    interface where data_plane.interface names one, and sends them to the
    control plane. Needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.
    SIGHUP reads the configuration again; SIGTERM or Ctrl-C ends it, and what
    is not sent yet stays in the spool.

    \b
    Example:
      sudo beacon-detect sensor -c /etc/beacon-detect/config.yaml
    """
    session.daemon = True
    from beacon_detect.config import load_config
    from beacon_detect.data_plane.collector import run_sensor

    run_sensor(load_config(config_file))
