"""The bill of materials of an installation, CycloneDX 1.5 as JSON, from the locks: packages, versions, hashes.

    python docker/bill_of_materials.py requirements.lock requirements-uv.lock > var/sbom.json

The locks are all that is installed (``make setup``, the image): nothing is looked up, and equal locks give equal bytes.
"""

import json
import re
import sys
from pathlib import Path

_PACKAGE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def packages(lock: str) -> dict[str, tuple[str, list[str]]]:
    """Name as registries write it -> version and sha256 of the files that may be installed. Raises ValueError."""
    found: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in lock.splitlines():
        if package := _PACKAGE.match(line):
            name = re.sub(r"[-_.]+", "-", package[1]).lower()
            found[name] = (package[2], [])
        elif line.strip() and not line.lstrip().startswith(("#", "--hash=")):
            raise ValueError(f"not a line of a lock: {line[:40]!r}")
        if hashes := _HASH.findall(line):
            found[name][1].extend(hashes)
    return found


def bill(locks: list[str]) -> dict[str, object]:
    known: dict[str, tuple[str, list[str]]] = {}
    for lock in locks:
        known |= packages(lock)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "tangerang-welfare-warehouse"}},
        "components": [
            {
                "type": "library",
                "bom-ref": f"pkg:pypi/{name}@{version}",
                "name": name,
                "version": version,
                "purl": f"pkg:pypi/{name}@{version}",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in sorted(hashes)],
            }
            for name, (version, hashes) in sorted(known.items())
        ],
    }


if __name__ == "__main__":
    print(json.dumps(bill([Path(path).read_text(encoding="utf-8") for path in sys.argv[1:]]), indent=1))
