"""A stand-in for Snowpipe Streaming and Snowpipe, which the official clients talk to; strict where Snowflake is."""
