"""Numbers, times, durations and ids in text."""
