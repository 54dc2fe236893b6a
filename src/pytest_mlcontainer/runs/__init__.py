"""Image + job → `Run`: put the inputs in, start, watch, limit, collect, remove."""
