"""Third Rail: every public MTA real-time feed as Iceberg tables, each row exactly once."""

__version__ = "0.1.0"
