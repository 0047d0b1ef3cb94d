"""The feeds as configured: those declared, those that only the configuration knows, and those that `run` polls."""

from collections.abc import Mapping, Sequence

import msgspec

from thirdrail.config.settings import Config, FeedConfig
from thirdrail.errors import ConfigError
from thirdrail.model.feeds import BY_ID as FEEDS
from thirdrail.model.feeds import Feed, feed


def known_feeds(config: Config) -> dict[str, Feed]:
    """Give every feed, as configured: those declared, then those that only the configuration knows."""
    declared = {feed.id: _as_configured(feed, config.feeds.get(feed.id, FeedConfig())) for feed in FEEDS.values()}
    own = {name: _as_configured(_blank(name), each) for name, each in config.feeds.items() if name not in FEEDS}
    return declared | own


def feed_of(config: Config, feed_id: str) -> Feed:
    """Give a feed as configured.

    Raises:
        UnknownFeed: with the nearest names that exist.
    """
    return feed(feed_id, known_feeds(config).values())


def polled(config: Config, only: Sequence[str] = (), *, environment: Mapping[str, str]) -> tuple[Feed, ...]:
    """Give the feeds to poll, as configured; ``only`` names some of them.

    Raises:
        UnknownFeed: of those named.
        ConfigError: nothing is left.
    """
    known = known_feeds(config)
    if only:
        return tuple(feed(feed_id, known.values()) for feed_id in only)
    found = tuple(each for each in known.values() if not why_left_out(each, config, environment))
    if not found:
        raise ConfigError("no feed is left to poll: every one is switched off", hint="feeds.<id>.enabled")
    return found


def why_left_out(feed: Feed, config: Config, environment: Mapping[str, str]) -> str:
    """Give the reason why `run` does not poll a feed unless it is named; empty for those that it polls."""
    own = config.feeds.get(feed.id)
    if own is not None and own.enabled is not None:
        return "" if own.enabled else "switched off in the configuration"
    if feed.needs_key and not environment.get(feed.key_env):
        return f"gives nothing without a key: set {feed.key_env}"
    return f"all of it is in {feed.covered_by}" if feed.covered_by else ""


def _blank(name: str) -> Feed:
    return Feed(id=name, family="other", url="", meaning="from the configuration", timezone="UTC")


def _as_configured(feed: Feed, own: FeedConfig) -> Feed:
    given = {
        name: value
        for name in ("url", "interval_seconds", "format", "timezone", "meaning", "headers", "key_env", "key_header")
        if (value := getattr(own, name))
    }
    return msgspec.structs.replace(feed, **given)
