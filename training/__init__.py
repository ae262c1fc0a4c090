"""How the model of the calibrated score is made: generated series, fitting, evaluation, peers.

Nothing here is imported by the product; scikit-learn is needed only here.  Limit:
the series are generated, so every figure measured on them says how well the
method does against our idea of the world, not against a given network.
"""

from __future__ import annotations
