"""Destinations: rows and the position become visible together or not at all."""
