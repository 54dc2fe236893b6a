"""Which of this machine's variables are varied as those that leak into programs."""

from __future__ import annotations

import itertools

from pytest_mlcontainer.pipeline.search_tools import leaked


def test_variables_that_leak_are_those_that_programs_read() -> None:
    """Secrets never, whatever they are called, nor what this machine itself needs."""
    text = "\n".join(
        f"os.{form}" for form in (
            'environ["SHARD"]', "environ.get('REGION', 'eu')", "getenv('API_KEY')",
            'environ["HF_TOKEN"]', 'environ.get("PATH")', 'environ["NOT_SET"]', 'environ["LD_X"]',
            "environ.get('db_password')",
        )
    )  # fmt: skip
    names = ("SHARD", "REGION", "API_KEY", "HF_TOKEN", "PATH", "LD_X", "db_password", "UNREAD")
    environ = dict(zip(names, itertools.count(), strict=False))
    found = leaked((("train.py", text),), {name: str(value) for name, value in environ.items()})
    assert dict(found) == {"REGION": "1", "SHARD": "0"}
