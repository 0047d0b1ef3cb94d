"""What a run carried."""

from collections import Counter
from dataclasses import dataclass, field

from thirdrail.pipeline.loop import StepResult


@dataclass(slots=True)
class Totals:
    """What a run carried: captures and rows, and files that gave none of their own.

    ``skipped`` bodies are in the log already, ``no_message`` files became captures without rows, ``unreadable``
    files were left out.
    """

    captures: int = 0
    skipped: int = 0
    no_message: int = 0
    unreadable: int = 0
    decoded_rows: int = 0
    written: dict[str, int] = field(default_factory=dict)
    findings: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    def add(self, result: StepResult) -> None:
        """Count a batch."""
        self.captures += result.captures
        self.decoded_rows += result.decoded
        self.findings.update(result.told.findings)
        self.refused += result.told.refused
        for table, rows in result.written.items():
            self.written[table] = self.written.get(table, 0) + rows
