"""Reports."""

WIDTH = 80
