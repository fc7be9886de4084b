"""Every performance figure that the docs state, one command each (`make bench-...`). Nothing imports it."""
