"""Turns photos into features and features into projections, and checks both."""
