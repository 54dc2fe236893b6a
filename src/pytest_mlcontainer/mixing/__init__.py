"""Hybrid images, between two others: which part of the other one makes outputs drift."""
