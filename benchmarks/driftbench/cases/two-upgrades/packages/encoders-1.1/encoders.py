"""Encodes features for a model."""

import featstore


def encode(record):
    values = featstore.features(record)
    # Formats from 2 on carry the unit last.
    if featstore.FORMAT >= 2 and len(values) > 2:
        return [value * values[-1] for value in values[:2]]
    return values[:2]
