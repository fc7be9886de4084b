"""Erasure of contributed photos: every byte of them, and a certificate of it (docs/decisions/0027)."""
