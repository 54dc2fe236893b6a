"""Two arrays, or a few numbers, of any type and shape → differences."""
