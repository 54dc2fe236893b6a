"""Named columns → differences."""
