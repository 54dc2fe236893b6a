"""What the one reader of Dockerfiles makes of their lines, as BuildKit has it."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.dockerfile import (
    DockerfileSummary,
    Instruction,
    command_words,
    copied_sources,
    parse_dockerfile,
    parse_instructions,
)


def test_a_stage_begins_with_what_its_base_says() -> None:
    """Over continuations and heredocs, and with what all stages copy."""
    recipe = parse_dockerfile(
        "# syntax=docker/dockerfile:1\n"
        "ARG TAG=3\n"
        "FROM base:${TAG} AS build\nCOPY --link ./a.py dist/*.whl /x/\n"
        'FROM other AS common\nWORKDIR /srv\nENTRYPOINT ["tool"]\nCMD ["a"]\n'
        "FROM common\nCOPY --from=build /x /y\nCOPY <<EOF /etc/conf\nCMD not this one\nEOF\n"
        "RUN one \\\n  # a comment\n  && two\nEXPOSE 8080 53/udp\nCMD serve --port 1\n"
    )
    assert recipe == DockerfileSummary(
        workdir="/srv",
        entrypoint=("tool",),
        command=("/bin/sh", "-c", "serve --port 1"),
        ports=(8080,),
        copied=("a.py", "dist/*.whl"),
        runs=("one   && two",),
        variables=("TAG",),
        folders=frozenset({"/", "/srv"}),
        base="other",
        brought=("/y", "/etc/conf"),
    )
    assert command_words(recipe.command) == ("serve", "--port", "1")


@pytest.mark.parametrize(
    ("text", "instructions"),
    [
        ("run\tone  two", [("RUN", "one  two")]),
        ("RUN one \\\n\n# a comment\n  two \\ \n three", [("RUN", "one   two  three")]),
        ("RUN one \\\\\nRUN two", [("RUN", "one \\\\"), ("RUN", "two")]),
        ("RUN echo `date`\nCOPY a /", [("RUN", "echo `date`"), ("COPY", "a /")]),
        ("# escape=`\nRUN one `\n two\nCOPY a C:\\\nCMD x",
         [("RUN", "one  two"), ("COPY", "a C:\\"), ("CMD", "x")]),
        ("RUN one \\", [("RUN", "one")]),
        ("RUN a\r\nRUN b\\\r\nc\r\n", [("RUN", "a"), ("RUN", "bc")]),
        ("COPY", [("COPY", "")]),
        ("", []),
    ],
)  # fmt: skip
def test_lines_are_joined_as_the_escape_character_says(
    text: str, instructions: list[tuple[str, str]]
) -> None:
    """A backtick at the end of a command joins nothing, unless the first lines make it do so."""
    assert [(each.word, each.rest) for each in parse_instructions(text)] == instructions


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("RUN <<EOF\nCOPY a /\nEOF\nCMD x", ["RUN", "CMD"]),
        ("RUN <<-'E-1' python3\nCOPY a /\n\tE-1\nCMD x", ["RUN", "CMD"]),
        ("RUN <<EOF\nCOPY a /\n EOF\nEOF\nCMD x", ["RUN", "CMD"]),
        ("COPY <<a <<b /x\nA\na\nB\nb\nCMD x", ["COPY", "CMD"]),
        ('RUN 3<<"EOF" cat >/x\nFROM y\nEOF\nCMD x', ["RUN", "CMD"]),
        ("RUN cat <<<word\nCMD x", ["RUN", "CMD"]),
        ("RUN echo $((1<<3))\nCMD x", ["RUN", "CMD"]),
        ("LABEL a=b <<EOF\nCMD x", ["LABEL", "CMD"]),
        ("RUN <<EOF\nno end", ["RUN"]),
    ],
)
def test_text_of_heredocs_is_no_instruction(text: str, words: list[str]) -> None:
    """As far as the line that ends it, and only where an instruction takes one."""
    assert [each.word for each in parse_instructions(text)] == words


def test_flags_stand_apart() -> None:
    """Of every instruction."""
    assert list(parse_instructions("COPY --link --chown=1:1 a b")) == [
        Instruction("COPY", (("link", ""), ("chown", "1:1")), "a b", line=1)
    ]


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("COPY \\\n  ./a.whl \\\n  b.whl /x/", ("a.whl", "b.whl")),
        ('COPY ["a b.whl", "./c.whl", "/x/"]', ("a b.whl", "c.whl")),
        ("ADD . /x", (".",)),
        ("COPY ./ /x", (".",)),
        ('COPY "a.py" \'b.bin\' "./"', ("a.py", "b.bin")),
        (
            "COPY / ../a.py /b/c.py ../../d/ ..e .f/g /x",
            (".", "a.py", "b/c.py", "d/", "..e", ".f/g"),
        ),
        ("ADD https://example.org/a.whl /x", ("https://example.org/a.whl",)),
        ("COPY --from=build a /x", ()),
        ("COPY /x", ()),
        ("RUN cp a /x", ()),
        ("FROM x AS a\nCOPY a /\nFROM y\nCOPY b /", ("a", "b")),
    ],
)
def test_what_is_copied_from_the_context(text: str, sources: tuple[str, ...]) -> None:
    """In every form that COPY has, and in all stages."""
    assert copied_sources(text) == sources


def test_each_instruction_knows_where_it_begins_and_the_text_of_its_heredocs() -> None:
    """A comment, an empty line and lines that are joined count; so do those of heredocs."""
    text = "# syntax=docker/dockerfile:1\n\nFROM a\nRUN b \\\n  # why\n\n  c\n"
    text += "RUN <<A <<-B\none\nA\n\ttwo\n\tB\nCMD d\n"
    assert [(each.word, each.line) for each in parse_instructions(text)] == [
        ("FROM", 3),
        ("RUN", 4),
        ("RUN", 8),
        ("CMD", 13),
    ]
    assert [each.heredocs for each in parse_instructions(text)][2] == ("one", "two")


@pytest.mark.parametrize(
    ("steps", "placed"),
    [
        ("WORKDIR /app\nCOPY train.py /app", "/app/"),
        ("WORKDIR /app\nCOPY train.py main.py", "/app/main.py"),
        ("WORKDIR /srv\nRUN mkdir -p code logs && ls\nCOPY train.py code", "/srv/code/"),
        ("RUN mkdir /srv/code/deep\nCOPY train.py /srv/code", "/srv/code/"),
        ("COPY requirements.txt /app/\nCOPY train.py /app", "/app/"),
        ("WORKDIR /app\nWORKDIR src\nCOPY train.py /app/src", "/app/src/"),
        ("COPY train.py /train", "/train"),
    ],
)
def test_a_file_is_copied_into_a_folder_that_exists(steps: str, placed: str) -> None:
    assert parse_dockerfile(f"FROM base\n{steps}\n").placed[-1] == ("train.py", placed)


@pytest.mark.parametrize(
    ("line", "servers"),
    [
        ("ENV MLFLOW_TRACKING_URI=http://mlflow:5000", (("MLFLOW_TRACKING_URI", "http://mlflow:5000"),)),
        ('ENV DB "postgres://db:5432/x"', (("DB", "postgres://db:5432"),)),
        ("ENV URI=http://localhost:5000", ()),
        ("ENV URI=https://example.org:443", ()),
    ],
)  # fmt: skip
def test_servers_of_other_containers_are_known(
    line: str, servers: tuple[tuple[str, str], ...]
) -> None:
    assert parse_dockerfile(f"FROM base\n{line}\n").servers == servers
