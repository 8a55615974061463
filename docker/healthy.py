"""Exit 0 when an address answers well: a health check for images without curl.

``healthy.py URL``: it answers with success. ``healthy.py URL PART…``: its JSON calls each part healthy.
``healthy.py URL --any``: it answers at all (a report site has no page before its first report).
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
        return parts == ["--any"]
    except OSError:
        return False
    return parts == ["--any"] or all(json.loads(body)[part]["status"] == "healthy" for part in parts)


if __name__ == "__main__":
    sys.exit(0 if is_healthy(sys.argv[1], sys.argv[2:]) else 1)
