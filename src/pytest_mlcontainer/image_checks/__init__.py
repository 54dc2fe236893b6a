"""What can be said of an image without running it: one module or package for each check."""
