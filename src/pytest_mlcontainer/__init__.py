"""Container-based reproducibility testing of machine-learning projects, as a pytest plugin."""
