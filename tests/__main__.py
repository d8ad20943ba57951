"""`python3 -m tests`: make the environment and find a browser, then run every test (arguments go to pytest)."""

import sys

from core.environment import ROOT, ensure, hand_over


def main() -> int:
    python = ensure(ROOT / "tests" / "requirements.txt")
    return hand_over([python, ROOT / "tests" / "suite.py", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
