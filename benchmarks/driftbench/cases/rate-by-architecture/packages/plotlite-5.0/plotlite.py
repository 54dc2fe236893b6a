"""Plots."""

COLOUR = "blue"
