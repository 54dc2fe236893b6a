"""Records what the project's own code computes, statement by statement; see `watching`."""
