"""Configuration: each setting declared once, loaded from file and environment, with the place of every value."""

from __future__ import annotations

from beacon_detect.config.layers import merge_trees
from beacon_detect.config.load import (
    OVERRIDES_NAME,
    LoadedConfig,
    find_config_file,
    load_config,
    load_effective,
    parse_update,
    validate_tree,
)
from beacon_detect.config.masking import MASK, masked
from beacon_detect.config.schema import Config

__all__ = [
    "MASK",
    "OVERRIDES_NAME",
    "Config",
    "LoadedConfig",
    "find_config_file",
    "load_config",
    "load_effective",
    "masked",
    "merge_trees",
    "parse_update",
    "validate_tree",
]
