"""The wiring: a data folder, its log, its tables, and what moves between them."""

from thirdrail.app.data_folder import DataFolder
from thirdrail.app.looking import audit, pinned, pinned_all
from thirdrail.app.replaying import order_replay, replay
from thirdrail.app.skipping import skip_ahead
from thirdrail.app.totals import Totals
from thirdrail.app.writing import Writing, writing

__all__ = [
    "DataFolder",
    "Totals",
    "Writing",
    "audit",
    "order_replay",
    "pinned",
    "pinned_all",
    "replay",
    "skip_ahead",
    "writing",
]
