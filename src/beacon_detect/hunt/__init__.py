"""Hunting in files: records of any reader to series, analysis and a ranked list.

The offline counterpart of the control plane: no store, no server, one pass over
the input and one answer.
"""

from __future__ import annotations
