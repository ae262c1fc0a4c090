"""Durable storage of records, findings and alerts."""

from __future__ import annotations
