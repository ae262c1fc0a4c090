"""What all verbs share: which control plane is meant, and how to speak to it.

Filled from the options before the verb. Imports nothing, so that it costs
nothing where a verb speaks to no control plane.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from beacon_detect.errors import PermissionMissingError

if TYPE_CHECKING:
    from pathlib import Path

TOKEN_VARIABLE = "BEACON_API_TOKEN"  # noqa: S105 (the name of a variable)
MAX_TOKEN_BYTES = 4096


@dataclass
class Session:
    """One run of the command line."""

    host: str = "localhost"
    port: int = 9090
    token_file: Path | None = None
    debug: bool = False
    daemon: bool = False
    """This process serves until it is told to stop: its log must hold why it failed."""

    @property
    def server(self) -> str:
        """``host:port`` as people write it, IPv6 addresses in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Root of the control plane's API."""
        return f"http://{self.server}/api/v1"

    def token(self) -> str:
        """Return the API token to send, empty when there is none.

        Raises
        ------
        PermissionMissingError
            The token file cannot be read, or what is given is no token.
        """
        if self.token_file is None:
            text = os.environ.get(TOKEN_VARIABLE, "").strip()
            return _checked(text, TOKEN_VARIABLE) if text else ""
        place = f"token file {self.token_file}"
        try:
            with self.token_file.open("rb") as file:
                content = file.read(MAX_TOKEN_BYTES + 1)
        except OSError as error:
            raise PermissionMissingError(
                f"{place}: cannot be read: {error.strerror}",
                hint="name a file that you may read with --token-file",
            ) from None
        return _checked(content.decode("utf-8", "replace").strip(), place)


def _checked(text: str, place: str) -> str:
    printable = text.isascii() and text.isprintable() and " " not in text
    if not text or len(text) > MAX_TOKEN_BYTES or not printable:
        raise PermissionMissingError(
            f"{place}: must hold one token of printable ASCII characters without spaces"
        )
    return text
