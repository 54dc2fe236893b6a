"""Commands that cannot be executed although they are there: the reason, seen in real containers."""

from __future__ import annotations

import pytest

from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

DOCKERFILE = r"""FROM python:3.13-slim
WORKDIR /app
RUN printf '#!/bin/sh\r\necho\r\n' > windows.sh \
 && printf '#!/usr/bin/env python3\r\n' > windows.py \
 && printf '#!/opt/no/python\n' > lost.py \
 && printf '#!/usr/bin/env nosuch\n' > lost-by-env.py \
 && mkdir -p venv/bin && ln -s /usr/local/bin/python3.99 venv/bin/python3.99 \
 && ln -s python3.99 venv/bin/python \
 && printf '#!/app/venv/bin/python\n' > venv/bin/tool \
 && cp /bin/true foreign && sed -i 's#/lib64/ld-linux-x86-64#/lib64/ld-linus-x86-64#' foreign \
 && chmod +x *.sh *.py foreign venv/bin/tool \
 && cp lost.py /usr/local/bin/lost
"""

# command → what is said, and what helps
COMMANDS = {
    "/app/windows.sh": ("has the line ends of Windows", "eol=lf"),
    "./windows.py": ("has the line ends of Windows", "eol=lf"),
    "/app/lost.py": (
        "the script's interpreter is not in the image: /app/lost.py begins with "
        "'#!/opt/no/python', and there is no /opt/no/python",
        "#!/usr/bin/env python3",
    ),
    "lost": ("/usr/local/bin/lost begins with '#!/opt/no/python'", "#!/usr/bin/env python3"),
    "/app/venv/bin/python": (
        "the command is a link that leads nowhere: /app/venv/bin/python leads to "
        "/usr/local/bin/python3.99, which is not in the image",
        ".dockerignore",
    ),
    "/app/venv/bin/tool": ("/app/venv/bin/python leads to /usr/local/bin/python3.99", "venv"),
    "/app/foreign": ("a program for another C library or platform", "use a base with glibc"),
    "/app/nosuch": ("the command was not found in the image", "check its spelling"),
}


def test_a_command_that_is_there_and_cannot_be_executed_says_what_is_missing(
    project: MakeProject, native: str, failure_of: FailureOf, leaves_nothing: None
) -> None:
    if native != "linux/amd64":
        pytest.skip("the program that asks for another loader is made for amd64")
    tables = "".join(
        f'[tool.mlcontainer.entrypoints.e{number}]\ncommand = ["{name}"]\n'
        for number, name in enumerate(COMMANDS)
    )
    project.write(tables, dockerfile=DOCKERFILE)
    result = project.run("-k", "not image")

    result.assert_outcomes(failed=len(COMMANDS))
    for number, (command, (cause, remedy)) in enumerate(COMMANDS.items()):
        said = failure_of(result, f"e{number}[")
        assert cause in said, command
        assert remedy in said, command


def test_a_server_whose_command_is_there_and_cannot_be_executed_says_what_is_missing(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(
        """
[tool.mlcontainer.entrypoints.windows]
command = ["/app/windows.sh"]
port = 8000

[tool.mlcontainer.entrypoints.lost]
command = ["lost"]
port = 8000
""",
        dockerfile=DOCKERFILE,
    )
    result = project.run("-k", "not image")

    result.assert_outcomes(failed=2)
    assert "the script has the line ends of Windows" in failure_of(result, "windows[")
    lost = failure_of(result, "lost[")
    assert "/usr/local/bin/lost begins with '#!/opt/no/python'" in lost


def test_a_script_that_env_cannot_run_says_so_itself(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    """There the kernel did execute something, and its words are explained."""
    project.write(
        '[tool.mlcontainer.entrypoints.train]\ncommand = ["/app/lost-by-env.py"]\n',
        dockerfile=DOCKERFILE,
    )
    said = failure_of(project.run("-k", "not image"), "train[")

    assert "a program that it starts is not in the image" in said
