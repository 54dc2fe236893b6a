"""The script that `mlcontainer completion` prints does complete, in a real shell."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_mlcontainer.cli import main

ASK = """
source {script}
COMP_WORDS=({words}) COMP_CWORD={last} COMP_LINE='{words}' COMP_POINT=${{#COMP_LINE}}
$(complete -p mlcontainer | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("mlcontainer", "do"), {"doctor"}),
        (("mlcontainer", "doctor", "--"), {"--json", "--engine", "--help"}),
        (("mlcontainer", "explain", "--vary", "threads", "--bud"), {"--budget"}),
        (("mlcontainer", "compare", "rec"), {"records.zip"}),
    ],
)
def test_bash_completes_commands_options_and_files(
    words: tuple[str, ...], offered: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "mlcontainer.bash"
    script.write_text(capsys.readouterr().out)
    (tmp_path / "records.zip").touch()
    text = ASK.format(script=script, words=" ".join(words), last=len(words) - 1)
    done = subprocess.run(
        [bash, "--norc", "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert offered <= set(done.stdout.split()), done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_with_all_commands(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in ("doctor", "init", "compare", "explain", "clean", "test"))


def test_a_shell_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["completion", "ksh"])
    assert "invalid choice: 'ksh'" in capsys.readouterr().err
