"""Packets to connections, by the rules of the live sensor.

Four stages, each over all packets of a chunk: :mod:`index` finds the packets,
:mod:`frames` reads their headers, :mod:`flows` follows the connections,
:mod:`names` picks up what they call their destination. The stages are plain
functions over flat columns; :mod:`kernels` compiles them when there is enough
to do, and runs them as they are when there is not.
"""

from __future__ import annotations
