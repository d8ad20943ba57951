"""`python3 -m dashboard`: make the environment if needed, then serve the app and open the browser."""

import argparse
import sys

from core.environment import ROOT, ensure, hand_over


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m dashboard", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, help="port to listen on (default: 8501, or the next free one)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    asked = parser.parse_args()
    options = {"server.address": asked.host, "server.headless": str(asked.no_browser).lower()}
    if asked.port is not None:
        options["server.port"] = str(asked.port)
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    python = ensure(ROOT / "requirements.txt")
    return hand_over([python, "-m", "streamlit", "run", ROOT / "dashboard" / "app.py", *flags])


if __name__ == "__main__":
    sys.exit(main())
