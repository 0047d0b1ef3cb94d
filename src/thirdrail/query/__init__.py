"""The reading side: one snapshot per table up to a common position, views, ``as_of``."""
