"""Programs that a benchmark runs and times, each in a process of its own; the last line they print is JSON."""
