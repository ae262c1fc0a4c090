"""The daemons' own log on stderr: one line an event, for people on a terminal, JSON otherwise.

Libraries that use the standard ``logging`` module are rendered the same way.
The level can be changed while running; the format is chosen at start.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import Processor

    from beacon_detect.config.schema import Logging

_NOISY = ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "httpx2", "httpcore2")


def configure_logging(config: Logging) -> None:
    """Send structlog and ``logging`` to stderr as ``config`` says; call once at the start."""
    import structlog

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(config),
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    set_level(config.level)


def _renderers(config: Logging) -> list[Processor]:
    """Return what turns an event into text: coloured lines for people, or JSON."""
    import structlog

    terminal = sys.stderr.isatty()
    if config.format == "console" or (config.format == "auto" and terminal):
        return [
            structlog.dev.ConsoleRenderer(
                colors=terminal, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    return [
        # Local variables (the default of both renderers) would show tokens and URLs.
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        ),
        structlog.processors.JSONRenderer(),
    ]


def set_level(level: str) -> None:
    """Write events of ``level`` (debug, info, warning, error) and above from now on."""
    logging.getLogger().setLevel(level.upper())
    # Libraries narrate their own start and stop at info; ours is the account that counts.
    quiet = logging.DEBUG if level == "debug" else logging.WARNING
    for name in _NOISY:
        logging.getLogger(name).setLevel(quiet)
