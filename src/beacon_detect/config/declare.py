"""How a setting is declared: its section, its default, and what is said about it.

Apart from the schema, so that sections can live in files of their own.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pydantic.config import JsonDict


def setting(
    default: Any,
    meaning: str,
    *,
    unit: str = "",
    restart: bool = False,
    secret: bool = False,
    shown: str = "",
    **bounds: Any,
) -> Any:
    """Declare one setting: its default, meaning, unit, and whether a change needs a restart.

    ``shown`` describes a default that depends on the host; a ``secret`` is
    masked wherever settings are displayed.
    """
    extra: JsonDict = {"unit": unit, "restart": restart, "secret": secret, "shown": shown}
    if callable(default):
        return Field(
            default_factory=default, description=meaning, json_schema_extra=extra, **bounds
        )
    return Field(default=default, description=meaning, json_schema_extra=extra, **bounds)


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be an IP address or network like 10.0.0.0/8") from None
    return text


Network = Annotated[str, AfterValidator(_network)]


class Section(BaseModel):
    """Base of all sections: unknown keys refused, types strict, values frozen."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, use_attribute_docstrings=False
    )
