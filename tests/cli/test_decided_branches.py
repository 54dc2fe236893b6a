"""Branches that the image's variables decide: what is not entered counts for nothing."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.cli.program_needs import program_needs

CLOUD = {"STAGE": "cloud"}
BOTH = """
def main():
    stage = {asked}
    path = "/opt/in.csv"
    if stage == "local":
        path = "data/in.csv"
    read_csv(path)
"""


@pytest.mark.parametrize(
    ("asked", "environ", "reads"),
    [
        ("os.getenv('STAGE', 'local')", CLOUD, ["/opt/in.csv"]),
        ("os.environ.get('STAGE')", CLOUD, ["/opt/in.csv"]),
        ("os.environ['STAGE']", CLOUD, ["/opt/in.csv"]),
        ("os.getenv('STAGE', 'cloud')", {}, ["/opt/in.csv"]),
        ("os.getenv('STAGE')", {}, []),
        ("stage_of(machine)", CLOUD, []),
        ("os.getenv(name, 'cloud')", CLOUD, []),
    ],
)
def test_a_name_has_the_value_of_the_branch_that_is_entered(
    asked: str, environ: dict[str, str], reads: list[str]
) -> None:
    assert program_needs(BOTH.format(asked=asked), (), environ).reads == reads


def test_the_other_branch_is_entered_too() -> None:
    code = (
        "mode = os.getenv('STAGE', 'local')\n"
        "if mode == 'local':\n    read_csv('a.csv')\n"
        "elif mode != 'cloud':\n    read_csv('b.csv')\n"
        "else:\n    read_csv('c.csv')\n"
    )
    for environ, reads in (({}, "a.csv"), (CLOUD, "c.csv"), ({"STAGE": "x"}, "b.csv")):
        assert program_needs(code, (), environ).reads == [reads]


def test_a_name_that_gets_two_values_decides_nothing() -> None:
    code = "m = os.getenv('STAGE', 'a')\nm = m or ask()\nif m == 'b':\n    read_csv('b.csv')\n"
    assert program_needs(code).reads == ["b.csv"]


def test_the_default_of_an_argument_is_known_in_a_function_that_stands_before_it() -> None:
    code = (
        "def main(args):\n    path = os.path.join(args.train, 'train.csv')\n    read_csv(path)\n"
        "if __name__ == '__main__':\n    parser.add_argument('--train', default='/opt/in')\n"
        "    main(parser.parse_args())\n"
    )
    assert program_needs(code).reads == ["/opt/in/train.csv"]
