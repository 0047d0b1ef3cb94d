"""Configurations that poll a city fast."""

from collections.abc import Sequence
from pathlib import Path

from thirdrail.city.lines import ROUTES
from thirdrail.city.server import CityServer
from thirdrail.model.feeds import FEEDS


def configured(
    path: Path,
    city: CityServer,
    *,
    interval: float = 1,
    port: int | None = None,
    feeds: Sequence[str] = tuple(ROUTES),
    patience: float = 2,
    **keys: object,
) -> Path:
    """Write a configuration whose feeds are the city's, asked every ``interval`` s, through a proxy's port if given.

    Buses are asked seldom: this process makes their messages, too. An answer may take ``patience`` s.
    """
    lines = [
        f"{key} = {str(value).lower() if not isinstance(value, str) else repr(value)}" for key, value in keys.items()
    ]
    lines += ["[spool]", "reserve_gb = 0.0", "[poller]"]
    lines += [f"total_timeout_seconds = {patience}", f"read_timeout_seconds = {patience * 0.75}"]
    for feed_id in feeds:
        url = city.url_of(feed_id)
        if port is not None:
            url = url.replace(city.url, f"http://127.0.0.1:{port}")
        lines += [
            f"[feeds.{feed_id}]",
            "enabled = true",
            f'url = "{url}"',
            f"interval_seconds = {interval if 'bus' not in feed_id else 5}",
        ]
    lines += [f"[feeds.{feed.id}]\nenabled = false" for feed in FEEDS if feed.id not in feeds]
    path.write_text("\n".join(lines))
    return path
