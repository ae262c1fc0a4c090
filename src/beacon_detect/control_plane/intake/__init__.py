"""Intake: request bodies in Arrow, NDJSON or JSON become checked record tables.

``decode_body`` is the whole interface; each error is a DataError, of a class
that tells the HTTP status.
"""

from __future__ import annotations

from beacon_detect.control_plane.intake.body import BATCH_FIELD, SENSOR_FIELD, decode_body
from beacon_detect.control_plane.intake.faults import (
    BodyTooLargeError,
    RecordFaultsError,
    UnsupportedBodyError,
)

__all__ = [
    "BATCH_FIELD",
    "SENSOR_FIELD",
    "BodyTooLargeError",
    "RecordFaultsError",
    "UnsupportedBodyError",
    "decode_body",
]
