"""Whether a tag can be released: `release.py v1.2.3` says what is missing, and ends with 1 then."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parent.parent


def problems(tag: str, root: Path) -> list[str]:
    """Why the project in `root` cannot be released as `tag`; empty where it can."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = str(project["version"])
    found = []
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, and the version in pyproject.toml is {version}")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.search(rf"^## {re.escape(version)} \((.*)\)$", changelog, re.MULTILINE)
    if heading is None:
        found.append(f"CHANGELOG.md has no heading `## {version} (date)`: towncrier build")
    elif not re.fullmatch(r"\d{4}-\d\d-\d\d", heading[1]):
        found.append(f"CHANGELOG.md says ({heading[1]}) where the date of {version} belongs")
    waiting = sorted(each.name for each in (root / "changes").glob("*.*.md"))
    if waiting:
        found.append(f"not in CHANGELOG.md yet: {', '.join(waiting)} (towncrier build)")
    return found


def main(tag: str) -> int:
    """Print what is missing for a release as `tag`; the exit status."""
    found = problems(tag, _ROOT)
    for each in found:
        print(f"error: {each}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
