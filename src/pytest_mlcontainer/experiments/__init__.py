"""Experiments: runs that a search for causes asks for, and what their results tell it."""
