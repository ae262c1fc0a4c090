"""The sensor: kernel program, collector, process and container names, spool and exporter."""

from __future__ import annotations
