"""What `[tool.mlcontainer]` says about building reaches BuildKit."""

from __future__ import annotations

import docker
import pytest

from tests.sample_project import MakeProject

RUN = """
[tool.mlcontainer.entrypoints.show]
command = ["cat", "/made/extra", "/made/from-context", "/made/stage"]
outputs = []
"""
CONFIG = (
    """
build-args = { EXTRA = "cpu" }
build-contexts = { more = "more" }
build-target = "runtime"
build-secrets = { token = "env:BUILD_TOKEN", file = "file:secret.txt" }
"""
    + RUN
)
DOCKERFILE = """\
FROM python:3.13-slim AS base
ARG EXTRA=none
RUN --mount=type=secret,id=token --mount=type=secret,id=file \\
    test "$(cat /run/secrets/token)" = "s3cret" && test "$(cat /run/secrets/file)" = "t0psecret" \\
    && mkdir /made && echo "extra=$EXTRA" > /made/extra
COPY --from=more note.txt /made/from-context
FROM base AS runtime
RUN echo "stage=runtime" > /made/stage
FROM base AS later
RUN exit 7
"""
TESTS = """
def test_it(run_entrypoint):
    run = run_entrypoint("show")
    assert run.stdout.read_text() == "extra=cpu\\nnoted\\nstage=runtime\\n"

"""


def test_arguments_contexts_target_and_secrets_reach_the_build(
    project: MakeProject,
    engine: docker.APIClient,
    monkeypatch: pytest.MonkeyPatch,
    leaves_nothing: None,
) -> None:
    monkeypatch.setenv("BUILD_TOKEN", "s3cret")
    root = project.write(CONFIG, dockerfile=DOCKERFILE, test_build__py=TESTS)
    (root / "secret.txt").write_text("t0psecret")
    (root / "more").mkdir()
    (root / "more" / "note.txt").write_text("noted\n")

    result = project.run("-vv", "test_build.py")

    result.assert_outcomes(passed=1)
    printed = result.stdout.str()
    assert "s3cret" not in printed
    assert "t0psecret" not in printed


def test_a_cache_can_be_kept_elsewhere_where_the_builder_can(project: MakeProject) -> None:
    root = project.write(
        'cache-from = ["type=local,src=cache"]\ncache-to = ["type=local,dest=cache"]\n' + RUN,
        dockerfile="FROM python:3.13-slim\nRUN mkdir /made && cd /made && touch extra stage "
        "from-context\n",
    )

    result = project.run("-k", "image")

    if result.parseoutcomes().get("passed"):
        assert (root / "cache" / "index.json").is_file()
    else:
        # The classic image store cannot export a cache; the engine's own word says so.
        result.stdout.fnmatch_lines(["*Cache export is not supported for the docker driver*"])


def test_a_cache_that_cannot_be_reached_is_done_without_and_said(project: MakeProject) -> None:
    """A registry that is down takes time, not the build; what fails beside it is what is shown."""
    key = 'cache-from = ["type=registry,ref=localhost:1/team/model:cache"]\n'
    project.write(key + RUN, dockerfile="FROM python:3.13-slim\nRUN touch /made\n")
    result = project.run("-k", "image")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*without the cache localhost:1/team/model:cache*cache-from*"])

    project.write(key + RUN, dockerfile="FROM python:3.13-slim\nRUN echo so; exit 7\n")
    result = project.run("-k", "image")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*RUN echo so; exit 7*"])
    result.stdout.no_fnmatch_line("*correct or leave out `cache-from`*")
