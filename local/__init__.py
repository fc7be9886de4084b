"""Stand-ins that let one machine play the part of AWS."""
