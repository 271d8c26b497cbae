"""`python -m appliance`, and the one file. Looks at the arguments before anything heavy is imported."""

from __future__ import annotations

import sys

from appliance import __version__
from appliance.cli.arguments import rewrite, wants_version

__all__ = ["main"]


def main() -> int:
    """Run one command line; the exit code."""
    argv = sys.argv[1:]
    if wants_version(argv):
        sys.stdout.write(f"{__version__}\n")
        return 0
    from appliance.cli.main import run

    return run(rewrite(argv))


if __name__ == "__main__":
    sys.exit(main())
