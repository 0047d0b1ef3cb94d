"""The loop that carries records from the log to a sink, and change keeping."""
