"""A private Docker Engine under .engine/, for machines that have none."""
