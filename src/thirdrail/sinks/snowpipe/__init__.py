"""Snowpipe (v1): Parquet micro-batches on a stage, loaded by a pipe about a minute later."""
