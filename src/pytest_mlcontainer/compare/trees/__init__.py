"""Named and nested values → differences."""
