"""A private Kubernetes cluster under .cluster/, for tests that need a real one."""
