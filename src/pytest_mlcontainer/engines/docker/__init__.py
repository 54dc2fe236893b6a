"""All that speaks to an engine with a Docker API: the `Engine` of `engine`, on docker-py."""
