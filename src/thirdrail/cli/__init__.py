"""The command line: arguments in, tables and sentences out; all work is done by ``app``."""
