"""The analysis compiled with numba: the same steps as ``reference``, a hundred times faster.

Nothing here is imported before a batch is large enough to pay for the compiler
(see ``engine``).  The functions release the interpreter lock and run on plain
threads, one slice of the batch each: numba's own parallel layer aborts the
process when two threads enter it.  Limit: the first compilation on a machine
takes some seconds; the result is cached on disk (see ``cache``).
"""

from __future__ import annotations

from beacon_detect.analysis.compiled.batch import measure

__all__ = ["measure"]
