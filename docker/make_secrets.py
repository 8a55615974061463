"""Make the secrets of ``docker-compose.yml``: ``python3 docker/make_secrets.py /etc/warehouse/secrets``.

One file each, 0600 in a 0700 folder, random. A file that exists is left as it is: run again, nothing changes. Needs
only Python's own library, for it runs before anything is installed.
"""

import base64
import os
import secrets
import sys
from pathlib import Path

NAMES = ("postgres_password", "api_secret_key", "jwt_secret", "engineer_password", "monitor_password")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = {name: secrets.token_urlsafe(32) for name in NAMES}
    # HS512 wants a key as long as its digest.
    made["jwt_secret"] = secrets.token_urlsafe(64)
    made["fernet_key"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    made["pgpass"] = "".join(f"*:*:{name}:{name}:{secrets.token_urlsafe(32)}\n" for name in ("airflow", "ledger"))
    for name, text in made.items():
        try:
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            print(f"kept {folder / name}")
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        print(f"made {folder / name}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 docker/make_secrets.py FOLDER")
    main(Path(sys.argv[1]))
