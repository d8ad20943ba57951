"""Where the user's runs and files live: never inside the checkout."""

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The folder named by PUSHPULL_HOME, or a per-user data directory; made if it is missing."""
    named = os.environ.get("PUSHPULL_HOME")
    folder = Path(named) if named else Path(platformdirs.user_data_dir("pushpull", appauthor=False))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
