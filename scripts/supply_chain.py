"""What the package is built on: known faults of the pinned libraries, and their licences.

    python -m scripts.supply_chain audit      # make audit: advisories on every line of requirements.lock
    python -m scripts.supply_chain licences   # the licence of each pinned library that is installed

`audit` needs pip-audit beside this Python (`make audit` sets it up) and a source of advisories. Where a library cannot
be looked up it says so and ends with exit code 3: silence is not a clean bill.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from jsonargparse import auto_cli

ROOT = Path(__file__).parents[1]
LOCK, PINS = ROOT / "requirements.lock", ROOT / "constraints.txt"
# Licences under which a library may be used by, and shipped beside, an Apache-2.0 program. Those with a weak copyleft
# are used as they are and never changed. By SPDX name, and by the words that older metadata uses.
PERMISSIVE = (
    "Apache|BSD|MIT|ISC|PSF|Python Software Foundation|MPL|Mozilla|Unlicense|Public Domain|HPND|CC0|0BSD|Zlib|BSL-1.0|"
    "Historical Permission Notice and Disclaimer|NCSA|LGPL|Lesser General Public"
)

STATED_ELSEWHERE = {"axe-playwright-python": "MIT"}  # in its source; its metadata names none


class Licence(NamedTuple):
    """The licence of a library.

    Attributes:
      name: name of the library.
      version: version that is installed.
      licence: licence as its metadata states it, on one line.
      compatible: whether an Apache-2.0 program may ship beside it.
    """

    name: str
    version: str
    licence: str
    compatible: bool


def pins(path: Path = PINS) -> dict[str, str]:
    """Versions by name of all lines NAME==VERSION."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", path.read_text("utf-8"), re.M)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def licences_of(names: list[str]) -> Iterator[Licence]:
    """The licences of those libraries that are installed here."""
    for name in names:
        try:
            about = distribution(name).metadata
        except PackageNotFoundError:
            continue
        classifiers = [
            line.rpartition("::")[2].strip() for line in about.get_all("Classifier") or [] if "License" in line
        ]
        told = about.json
        stated = str(told.get("license_expression") or ", ".join(classifiers) or told.get("license") or "")
        text = STATED_ELSEWHERE.get(name) or " ".join(stated.split())[:80] or "unknown"
        yield Licence(name, about["Version"], text, bool(re.search(PERMISSIVE, text)))


def licences(json_output: bool = False) -> None:
    """List the licences of all pinned libraries that are installed, those that do not fit first."""
    rows = sorted(licences_of(list(pins())), key=lambda row: (row.compatible, row.name))
    if json_output:
        print(json.dumps([row._asdict() for row in rows], indent=2))
    for row in rows if not json_output else ():
        print(f"{row.name:32} {row.version:14} {row.licence}{'' if row.compatible else '   NOT KNOWN TO FIT'}")
    if not all(row.compatible for row in rows):
        raise SystemExit(1)


def audit(pip_audit: str = "pip-audit") -> None:
    """Look up advisories on every pinned library.

    Args:
      pip_audit: the command to look them up with.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "audit.json"
        command = [pip_audit, "--requirement", str(LOCK), "--disable-pip", "--require-hashes", "--format", "json"]
        done = subprocess.run([*command, "--progress-spinner", "off", "--output", str(out)], stderr=subprocess.PIPE)
        if not out.is_file() or not out.stat().st_size:
            print(f"no source of advisories can be reached: {done.stderr.decode(errors='replace').strip()[-300:]}")
            raise SystemExit(3)
        code, sentences = verdict(json.loads(out.read_text("utf-8"))["dependencies"])
    print("\n".join(sentences))
    raise SystemExit(code)


def verdict(found: list[dict]) -> tuple[int, list[str]]:
    """The exit code of an audit and its sentences: 1 where there is an advisory, 3 where not all could be looked up."""
    skipped = [one for one in found if "skip_reason" in one]
    faulty = [one for one in found if one.get("vulns")]
    sentences = [
        f"{one['name']} {one['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'none yet'}"
        for one in faulty
        for fault in one["vulns"]
    ]
    sentences.append(f"{len(found) - len(skipped)} of {len(found)} libraries looked up, {len(faulty)} with advisories")
    if skipped:
        sentences.append(f"not looked up, as no source knows them: {skipped[0]['skip_reason']}")
    return 1 if faulty else 3 if skipped else 0, sentences


if __name__ == "__main__":
    sys.exit(auto_cli([audit, licences]))
