"""Checks of the image: one module, or room, for each; `registry` has their functions."""
