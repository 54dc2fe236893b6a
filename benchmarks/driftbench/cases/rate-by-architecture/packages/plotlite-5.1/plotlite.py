"""Plots."""

COLOUR = "navy"
