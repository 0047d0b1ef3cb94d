"""``python -m thirdrail``."""

from thirdrail.cli.main import main

main()
