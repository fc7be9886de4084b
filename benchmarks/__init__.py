"""The measurements behind docs/performance.md, one command each (`make bench-...`)."""
