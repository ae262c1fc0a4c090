"""Alerts: when to raise one, and its way to each channel."""

from __future__ import annotations
