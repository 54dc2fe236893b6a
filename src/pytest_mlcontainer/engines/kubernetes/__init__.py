"""An engine whose containers are pods of a Kubernetes cluster.

A run is a Job of one pod. Its first process is ours (`inside/pod_supervisor.sh`): it waits for the
files that the program is given, starts it, and keeps what it wrote until that was fetched. Images
come from a registry: those of this machine's Docker engine are pushed there, by their content.
"""
