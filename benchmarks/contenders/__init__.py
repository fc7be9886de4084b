"""Programs that a benchmark runs and times, each in its own process."""
