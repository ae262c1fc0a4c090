"""The registered channels, one file each; a new one is one import and one name here."""

from __future__ import annotations

from beacon_detect.control_plane.alerts.channels.file import SPEC as FILE
from beacon_detect.control_plane.alerts.channels.syslog import SPEC as SYSLOG
from beacon_detect.control_plane.alerts.channels.webhook import SPEC as WEBHOOK

CHANNELS = {spec.name: spec for spec in (SYSLOG, FILE, WEBHOOK)}
"""Name -> channel, in the order in which ``status`` lists them."""
