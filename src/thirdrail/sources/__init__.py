"""Where captures come from: recordings now, the poller next."""
