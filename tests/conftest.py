"""What belongs to every test run; here because the process that reports loads no deeper one."""

import os
import sys
from typing import Any

# Hundreds of processes are started here: each would compile the whole project anew where no bytecode is kept.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The figures that tests recorded, for the notes of a release."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if getattr(report, "when", "") == "call":
                    terminalreporter.write_line(f"figure {report.nodeid.rpartition('::')[2]}: {name} = {value}")
