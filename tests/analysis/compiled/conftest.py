"""Where the compiled code of these tests is cached: not beside the sources.

The tests import parts of the package by themselves, past ``load_compiled``. Beside
the sources nothing would notice that a function they call has changed in another file.
"""

from __future__ import annotations

import numba

from beacon_detect.analysis.compiled_cache import cache_directory

numba.config.CACHE_DIR = str(cache_directory(numba.__version__) or "")
