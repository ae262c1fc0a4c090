"""Names that look made by a machine: generated domains, rather than chosen ones.

The registered label (``example`` of ``www.example.co.uk``) is measured by the
share of its neighbouring letters that are common in words; labels below it are
machine-made at every CDN and say nothing. Limit: short labels and languages far
from English are left alone, and a bare address without a name is neutral.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from beacon_detect.context.adjustment import Rule
from beacon_detect.context.destination import DestinationClass

if TYPE_CHECKING:
    from beacon_detect.context.facts import Facts

LEAST_LENGTH = 9
MOST_COMMON_SHARE = 0.42
LEAST_ENTROPY = 2.6
"""Bits per character; ``aaaaaaaaa`` is odd but not random."""
_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "gov", "go", "ne", "net", "or", "org"})
_COMMON_TEXT = """
th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co
me de hi ri ro ic ne ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us
ac ot il tr ly nc et ut ss so rs un lo wa ge ie wh ee wi em ad ol rt po we na ul ni ts mo ow pa
im mi ai sh ir su id os iv ia am fi ci vi pl ig tu ev ld ry mp fe bl ab gh ty op wo sa ay ex ke
ui fr oo ag if do cl cr gr br ap bo da ck ot ob up od ub ga ba pi gi ef ew ds
"""
_COMMON_PAIRS = frozenset(_COMMON_TEXT.split())
"""The commonest pairs of letters in English text, about 85 % of all pairs."""


def _judge(facts: Facts) -> tuple[float, str] | None:
    label = registered_label(facts.name)
    if not looks_random(label) or facts.dst_class is not DestinationClass.EXTERNAL:
        return None
    return 0.15, f"the name {label} looks random"


def registered_label(name: str) -> str:
    """Return the label that somebody registered, as far as a name tells; empty without one."""
    labels = [label for label in name.lower().strip(".").split(".") if label]
    if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS:
        return labels[-3]
    return labels[-2] if len(labels) > 1 else ""


@lru_cache(maxsize=65_536)
def looks_random(label: str) -> bool:
    """Say whether a label looks generated."""
    if len(label) < LEAST_LENGTH or label.startswith("xn--"):
        return False
    pairs = [a + b for a, b in pairwise(label) if "-" not in (a, b)]
    if not pairs:
        return False
    share = sum(pair in _COMMON_PAIRS for pair in pairs) / len(pairs)
    return share <= MOST_COMMON_SHARE and _entropy(label) >= LEAST_ENTROPY


def _entropy(text: str) -> float:
    """Return the Shannon entropy of the characters, bits each."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


RULE = Rule("name_look", 0.0, 0.15, _judge)
