"""Shows a configuration without its secrets.

Every display of settings (``config show``, the API) goes through here. The
mask is one fixed text, so that its length says nothing and a masked value that
comes back can be told from a real one.
"""

from __future__ import annotations

from typing import Any

from beacon_detect.config.schema import Config, secret_paths

MASK = "********"


def masked(config: Config) -> dict[str, Any]:
    """Return the settings as plain values, each secret that is set replaced by the mask."""
    tree = config.model_dump(mode="json")
    for path in secret_paths():
        branch: Any = tree
        for part in path[:-1]:
            branch = branch[part]
        branch[path[-1]] = _mask(branch[path[-1]])
    return tree


def _mask(value: Any) -> Any:
    """Return the mask, in the shape of the value: names of headers stay, their values go."""
    if isinstance(value, dict):
        return dict.fromkeys(value, MASK)
    return MASK if value else value
