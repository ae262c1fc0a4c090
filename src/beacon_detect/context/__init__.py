"""What surrounds a pair, and how it moves the timing score to a risk.

Pure rules: facts in, named and bounded adjustments out; no store, no clock, no
configuration file. Server and hunt call the same :func:`assess`. Limit: facts
that nobody knows (no process, no name) are silent, they never count against a pair.
"""

from __future__ import annotations

from beacon_detect.context.adjustment import Adjustment
from beacon_detect.context.assess import Assessment, ContextSettings, assess
from beacon_detect.context.facts import Facts
from beacon_detect.context.rules import RULES

__all__ = ["RULES", "Adjustment", "Assessment", "ContextSettings", "Facts", "assess"]
