"""One index of tested images in a registry: pushed as they are, read back, held against them."""
