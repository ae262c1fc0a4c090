"""Configuration: each setting declared once, loaded from file and environment, with the place of every value."""

from __future__ import annotations

from beacon_detect.config.load import LoadedConfig, find_config_file, load_config
from beacon_detect.config.schema import Config

__all__ = ["Config", "LoadedConfig", "find_config_file", "load_config"]
