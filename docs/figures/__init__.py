"""The pictures of the documents, drawn from the analysis itself: ``make figures`` renews them.

Each module draws one picture and has ``NAME`` and ``draw()``; ``svg`` holds what they
share.  All random numbers have fixed seeds, so that a test can hold the files to the code.
"""

from __future__ import annotations

from docs.figures import check_ins, intervals, periodogram, scores

PICTURES = (check_ins, intervals, periodogram, scores)
