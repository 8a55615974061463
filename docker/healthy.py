"""Exit 0 when an address answers well: a health check for images without curl.

``healthy.py URL PART…``: the JSON answer calls each part healthy. ``healthy.py URL``: any answer will do, also "not
found" (the report site before its first report).
"""

import json
import sys
from urllib.error import HTTPError
from urllib.request import urlopen


def is_healthy(url: str, parts: list[str]) -> bool:
    try:
        with urlopen(url, timeout=8) as answer:
            body = answer.read()
    except HTTPError:
        return not parts
    except OSError:
        return False
    return all(json.loads(body)[part]["status"] == "healthy" for part in parts)


if __name__ == "__main__":
    sys.exit(0 if is_healthy(sys.argv[1], sys.argv[2:]) else 1)
