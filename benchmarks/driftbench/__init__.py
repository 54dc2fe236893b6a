"""DriftBench: small projects with one seeded fault each, or none, and what is true of them.

`python -m benchmarks.driftbench` builds every case, lets the product look for the cause through
its own command line, and writes a table of scores. `docs/explanation/driftbench.md` says what they
mean.
"""
