"""What the plugin costs, as ratios within one run: `python -m benchmarks`, or `make bench`."""
