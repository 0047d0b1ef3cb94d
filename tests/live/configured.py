"""Configurations that poll a city fast."""

from pathlib import Path

from thirdrail.city.lines import ROUTES
from thirdrail.city.server import CityServer
from thirdrail.model.feeds import FEEDS


def configured(path: Path, city: CityServer, *, interval: float = 1, port: int | None = None, **keys: object) -> Path:
    """Write a configuration whose feeds are the city's, asked every ``interval`` s, through a proxy's port if given."""
    lines = [
        f"{key} = {str(value).lower() if not isinstance(value, str) else repr(value)}" for key, value in keys.items()
    ]
    lines += ["[spool]", "reserve_gb = 0.0", "[poller]", "total_timeout_seconds = 2", "read_timeout_seconds = 1.5"]
    for feed_id in ROUTES:
        url = city.url_of(feed_id)
        if port is not None:
            url = url.replace(city.url, f"http://127.0.0.1:{port}")
        lines += [f"[feeds.{feed_id}]", f'url = "{url}"', f"interval_seconds = {interval}"]
    lines += [f"[feeds.{feed.id}]\nenabled = false" for feed in FEEDS if feed.id not in ROUTES]
    path.write_text("\n".join(lines))
    return path
