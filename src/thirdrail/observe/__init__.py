"""What is seen of the running program: the clock for now."""
