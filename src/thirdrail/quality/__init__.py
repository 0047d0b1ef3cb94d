"""The rules: which rows pass, which are refused and why, which messages are believed. Pure."""
