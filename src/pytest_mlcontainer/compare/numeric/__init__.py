"""Numbers: when two are close enough, and how far apart the others are."""
