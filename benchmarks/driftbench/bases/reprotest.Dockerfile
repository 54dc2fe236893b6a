# Any of the other bases with reprotest, which works inside the container that it varies.
ARG BASE
FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends reprotest faketime sudo \
    && rm -rf /var/lib/apt/lists/*
