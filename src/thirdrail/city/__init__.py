"""A simulated New York: its subway feeds as the MTA publishes them, for demonstrations, loads and faults."""
