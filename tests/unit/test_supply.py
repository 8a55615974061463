"""What is installed and what is published: the bill of materials tells the locks, and no secret stands in the files."""

import importlib.util
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Shapes that are nothing but a secret, wherever they stand; names of files and fields are for the linter.
SECRETS = {
    "private key": re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}"),
    "age key": re.compile(rb"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    "our key": re.compile(rb"warehouse-key [1-9][0-9]*\s+[0-9a-f]{64}"),
    "cloud key": re.compile(rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "token of a forge": re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,}|glpat-[\w-]{20})"),
    "token of a chat": re.compile(rb"\bxox[abpr]-[0-9]{8,}-"),
    "signed token": re.compile(rb"\beyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{16,}"),
    "address with a password": re.compile(
        rb"\b[a-z][a-z+]+://[^\s/:@'\"{}$<>]+:(?!\*|x{3}|password\b)[^\s/@'\"{}$<>]{8,}@"
    ),
}


def bill():
    spec = importlib.util.spec_from_file_location("bill_of_materials", ROOT / "docker" / "bill_of_materials.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def published() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a clone")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_secret_stands_in_a_published_file():
    found = [
        f"{path.relative_to(ROOT)}: {kind}"
        for path in published()
        for kind, shape in SECRETS.items()
        if shape.search(path.read_bytes())
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    ["AGE-SECRET-KEY-1" + "Q" * 58, "warehouse-key 1\n" + "0a" * 32, "AKIA" + "Q" * 16, "ghp_" + "a" * 36,
     "postgresql://ledger:" + "s3cr3tS3cr3t@db/ledger", "eyJ" + "a" * 20 + ".eyJ" + "b" * 20 + "." + "c" * 20],
)  # fmt: skip
def test_a_secret_would_be_seen(text):
    assert any(shape.search(text.encode()) for shape in SECRETS.values())


def test_the_bill_of_materials_tells_every_line_of_the_locks():
    locks = [(ROOT / name).read_text(encoding="utf-8") for name in ("requirements.lock", "requirements-uv.lock")]
    made = bill().bill(locks)
    assert json.dumps(made) == json.dumps(bill().bill(locks))
    assert len(made["components"]) == sum(lock.count("==") for lock in locks)
    assert sum(len(one["hashes"]) for one in made["components"]) == sum(lock.count("--hash=") for lock in locks)
    assert all(one["hashes"] for one in made["components"])


def test_what_is_no_lock_makes_no_bill():
    assert bill().packages("a_b[c]==1.0 ; python_version > '3' \\\n    --hash=sha256:" + "0" * 64) == {
        "a-b": ("1.0", ["0" * 64])
    }
    with pytest.raises(ValueError, match="not a line of a lock"):
        bill().packages("requests>=2")
