"""The wiring: a data folder, its log, its tables, and what moves between them."""

from thirdrail.app.data_folder import DataFolder
from thirdrail.app.looking import audit, pinned, pinned_all
from thirdrail.app.rejecting import OpenRejection, given_up, open_rejections, sent_again
from thirdrail.app.replaying import order_replay, replay
from thirdrail.app.skipping import skip_ahead
from thirdrail.app.totals import Totals
from thirdrail.app.writing import Writing, writing

__all__ = [
    "DataFolder",
    "OpenRejection",
    "Totals",
    "Writing",
    "audit",
    "given_up",
    "open_rejections",
    "order_replay",
    "pinned",
    "pinned_all",
    "replay",
    "sent_again",
    "skip_ahead",
    "writing",
]
