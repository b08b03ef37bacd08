"""`python -m deployments.health URL`: a container's health check, with nothing but the standard library."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """0 where the address answers with 200 within five seconds, else 1; 2 without an address."""
    if len(arguments) != 1:
        print("usage: python -m deployments.health URL", file=sys.stderr)
        return 2
    try:
        with urllib.request.urlopen(arguments[0], timeout=5) as answer:
            return 0 if answer.status == 200 else 1
    except (urllib.error.URLError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
