"""The server: intake, storage, analyzer, detector, alert manager and API."""

from __future__ import annotations
