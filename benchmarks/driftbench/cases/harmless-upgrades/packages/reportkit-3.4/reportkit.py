"""Reports."""

WIDTH = 100
