"""Rounding noise of real arithmetic, and drift that large values beside it could hide."""
