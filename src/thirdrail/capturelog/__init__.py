"""The capture log: the only queue between what fetches and what writes tables."""
