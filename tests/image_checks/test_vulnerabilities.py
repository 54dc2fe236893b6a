"""`image::vulnerabilities` as a test: pip-audit, asked about an image on a real engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer.errors import NothingChecked
from pytest_mlcontainer.image_checks.vulnerabilities import check_vulnerabilities, report_of
from tests.image_checks.test_contents import SendingEngine, inputs
from tests.image_checks.wheels import write_wheel
from tests.sample_project import BASE, MakeProject

DOCKERFILE = f"""\
FROM {BASE}
COPY *.whl /w/
RUN pip install --no-index --root-user-action ignore --find-links /w numbers letters
"""
KNOWN = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "Numbers are wrong",
    "details": "Numbers are wrong.",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "numbers", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}],
            "versions": ["1.0"],
        }
    ],
}

Checked = Callable[..., Any]


@pytest.fixture
def database() -> Iterator[str]:
    """A database with the OSV API on this machine, which knows something of one package."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = asked["package"]["name"] == "numbers" and asked["version"] == "1.0"
            body = json.dumps({"vulns": [KNOWN]} if known else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
        server.shutdown()
        thread.join()


@pytest.fixture
def checked(project: MakeProject) -> Checked:
    """Runs the check, and gives what it came to."""

    def run(values: str) -> Any:
        write_wheel(project.root, "numbers", version="1.0+cpu")
        write_wheel(project.root, "letters")
        off = "lint = false\nsize = false\ngpu = false\n"
        config = (
            '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n'
            f"\n[tool.mlcontainer.image]\n{off}vulnerabilities = {{ {values} }}\n"
        )
        project.write(config, dockerfile=DOCKERFILE)
        folder = project.root / "report"
        result = project.run("-k", "vulnerabilities", "-rs", f"--container-report={folder}")
        found = json.loads((folder / "report.json").read_text())["checks"]
        said = " ".join(result.stdout.str().split())
        return {**(found[0] if found else {}), "ended": result.parseoutcomes(), "said": said}

    return run


def test_what_is_known_against_a_package_is_an_error_with_its_mend(
    checked: Checked, database: str
) -> None:
    check = checked(f'database = "{database}"')
    assert check["ended"]["failed"] == 1
    (finding,) = check["findings"]
    assert (finding["rule"], finding["place"]) == ("VU001", "numbers/PYSEC-2026-1")
    assert finding["what"] == "numbers 1.0 has a known vulnerability: PYSEC-2026-1 (CVE-2026-1)"
    assert finding["mend"] == "install numbers 2.1, or a later one"
    assert check["figures"]["packages_not_looked_up"] == 0


def test_one_that_does_not_matter_can_be_ignored(checked: Checked, database: str) -> None:
    check = checked(f'database = "{database}", ignore = ["VU001:numbers/PYSEC-*"]')
    assert check["ended"]["passed"] == 1
    assert check["findings"] == []


def test_a_database_that_is_not_there_is_no_pass(checked: Checked) -> None:
    check = checked('database = "http://127.0.0.1:9/v1/query"')
    assert check["ended"]["skipped"] == 1
    assert "passed" not in check["ended"]
    assert "known vulnerabilities could not be looked for: pip-audit: " in check["said"]


def test_without_the_program_it_is_skipped(tmp_path: Path) -> None:
    given = inputs(tmp_path, SendingEngine(tmp_path / "engine"))
    with pytest.raises(NothingChecked, match=r"pip install 'pytest-mlcontainer\[audit\]'"):
        check_vulnerabilities(replace(given, environ={"PATH": str(tmp_path)}))


def test_packages_that_the_database_does_not_know_are_no_pass(tmp_path: Path) -> None:
    """As pip-audit answers, with exit code 0, where an index has no database."""
    given = inputs(tmp_path, SendingEngine(tmp_path / "engine"))
    skipped = {"name": "alpha", "skip_reason": "Dependency not found and could not be audited"}
    with pytest.raises(NothingChecked, match="Dependency not found"):
        report_of(given, (skipped,))
    report = report_of(given, (skipped, {"name": "beta", "version": "1", "vulns": []}))
    assert (report.findings, report.notes) == ((), ("not looked up: alpha",))
    assert report.headline == "1 of 2 packages looked up"
