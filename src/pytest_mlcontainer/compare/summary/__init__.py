"""Summaries: what a baseline keeps of a file that is too large, and comparing with that."""
