"""What stands in text: numbers, times, durations, ids."""
