"""Bytes → Arrow tables of raw fields. Pure."""
