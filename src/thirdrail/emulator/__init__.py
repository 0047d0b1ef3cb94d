"""A stand-in for Snowpipe Streaming on this machine, which the official client talks to; strict where Snowflake is."""
