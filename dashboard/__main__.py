"""`python3 -m dashboard`: make the environment if needed, then serve the app and open the browser."""

import argparse
import os
import sys

from core.environment import PASTE, ROOT, THIS_MACHINE, ensure, hand_over


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m dashboard", description=__doc__)
    parser.add_argument("--host", default=THIS_MACHINE, help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, help="port to listen on (default: 8501, or the next free one)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument(
        "--paste",
        action="store_true",
        help="let losses be pasted: code that is typed in the browser runs on this machine",
    )
    asked = parser.parse_args()
    if asked.paste and asked.host != THIS_MACHINE:
        parser.error(
            f"--paste runs what is typed and --host {asked.host} lets others type; expected {THIS_MACHINE}: drop one"
        )
    options = {"server.address": asked.host, "server.headless": str(asked.no_browser).lower()}
    if asked.port is not None:
        options["server.port"] = str(asked.port)
    if asked.paste:
        options |= {"server.enableCORS": "true", "server.enableXsrfProtection": "true"}
    os.environ.pop(PASTE, None)
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    python = ensure(ROOT / "requirements.txt")
    command = [python, "-m", "streamlit", "run", ROOT / "dashboard" / "app.py", *flags]
    return hand_over(command, **({PASTE: "on"} if asked.paste else {}))


if __name__ == "__main__":
    sys.exit(main())
