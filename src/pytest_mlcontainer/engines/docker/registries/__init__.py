"""Reading and writing registries, with the logins that `docker login` has left.

docker-py pushes by an engine, which sends one platform under a tag and cannot send attestations,
or read back what has come; so this speaks the registries' own protocol, on `requests`.
"""
