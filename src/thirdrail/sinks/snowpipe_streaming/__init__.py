"""Snowpipe Streaming (v2): rows through native channels, the position in the channel's offset token."""
