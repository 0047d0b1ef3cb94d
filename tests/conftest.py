"""What every test run says at its end: which tests were not run, for want of which part."""

import signal
from collections import Counter

import pytest


class NotRun:
    """Counts skipped tests by reason; prints them as the last table; can make them a failure."""

    def __init__(self, allowed_prefix: str | None) -> None:
        self.allowed_prefix = allowed_prefix
        self.reasons: Counter[str] = Counter()

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        # An expected failure (xfail) is also reported as skipped, but it was run.
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.reasons[reason.removeprefix("Skipped: ")] += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _forbidden(self) -> list[str]:
        if self.allowed_prefix is None:
            return []
        return [reason for reason in self.reasons if not reason.startswith(self.allowed_prefix)]

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK and self._forbidden():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost, so that the table is the last
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter):
        result = yield
        terminalreporter.section("not run here, for want of")
        for reason, count in sorted(self.reasons.items()):
            terminalreporter.line(f"{count:5}  {reason}")
        if not self.reasons:
            terminalreporter.line("    0  (nothing is missing)")
        for reason in self._forbidden():
            terminalreporter.line(f"FAILED: no test may be skipped here for: {reason}", red=True)
        return result


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-on-skip-except",
        metavar="PREFIX",
        help="fail when a test is skipped for a reason that does not begin with PREFIX",
    )


def pytest_configure(config: pytest.Config) -> None:
    # What is started in a shell's background ignores Ctrl-C, and so would all that it starts in turn.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(NotRun(config.getoption("--fail-on-skip-except")))
