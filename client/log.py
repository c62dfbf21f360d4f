"""The agent's log: one JSON object a line on standard error, as collectors in clusters want it."""

import logging
import sys

import structlog


def configure_log(*, level: int = logging.INFO) -> None:
    """Sets up structlog for the process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,  # and not dict_tracebacks, which writes down what variables hold
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
