"""Turns photos into features, features into projections, and says whether to trust them."""
