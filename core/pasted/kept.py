"""The texts that this machine holds: those on the desk for as long as the app runs, and those that were kept.

Kept ones lie in the home folder, each under the hash of its text, so that a link or a recipe can name one and never
carries it.
"""

import os
import re
from collections import OrderedDict
from pathlib import Path

from core.environment import PASTE, PASTE_LINE
from core.home import home
from core.pasted.source import Source, key_of, read
from core.refusal import Refusal

DESK, LONGEST, KEY = 16, 40, r"[0-9a-f]{64}"
_desk: "OrderedDict[str, Source]" = OrderedDict()


def switched_on() -> bool:
    """Whether the app was started so that losses may be pasted."""
    return os.environ.get(PASTE) == "on"


def lay(source: Source) -> str:
    """Put a text on the desk, where `find` sees it until others have followed; gives its key."""
    _desk[source.key] = source
    _desk.move_to_end(source.key)
    while len(_desk) > DESK:
        _desk.popitem(last=False)
    return source.key


def keep(source: Source, name: str) -> str:
    """Keep a text in the home folder under a name; gives its key.

    Raises:
        Refusal: if it cannot be written.
    """
    try:
        _folder().mkdir(exist_ok=True)
        _file(source.key).write_text(source.text, encoding="utf-8")
        _name(source.key).write_text(" ".join(name.split())[:LONGEST] or "unnamed", encoding="utf-8")
    except OSError as error:
        raise Refusal(f"The loss could not be kept ({error.strerror}); expected room: free some space") from error
    return source.key


def listed() -> dict[str, str]:
    """Key -> name of what is kept, the newest first."""
    files = [file for file in _folder().glob("*.py") if re.fullmatch(KEY, file.stem)]
    return {file.stem: name_of(file.stem) for file in sorted(files, key=lambda f: f.stat().st_mtime, reverse=True)}


def name_of(key: str) -> str:
    """What a text was kept as."""
    try:
        return _name(key).read_text(encoding="utf-8")[:LONGEST]
    except (OSError, ValueError):
        return "unnamed"


def forget(key: str) -> None:
    """Delete a kept text and take it off the desk; runs of it keep their numbers."""
    _desk.pop(key, None)
    for file in (_file(key), _name(key)):
        file.unlink(missing_ok=True)


def missing(key: str) -> str:
    """Why the text of this key may not be run here, in one sentence; empty where it may."""
    if not switched_on():
        return f"Your own losses are switched off; expected the app to be started so: {PASTE_LINE}"
    if not key:
        return "No loss of your own is chosen; expected one that is kept here: choose it, or keep one first"
    if key not in _desk and not (re.fullmatch(KEY, key) and _file(key).is_file()):
        return f"The loss {key[:8]} is not kept on this machine; expected its text: paste it again and keep it"
    return ""


def find(key: str) -> Source:
    """The text of a key.

    Raises:
        Refusal: if it may not be run, is not held, or was changed since it was kept.
    """
    if why := missing(key):
        raise Refusal(why)
    if key in _desk:
        return _desk[key]
    text = _file(key).read_text(encoding="utf-8", errors="replace")
    if key_of(text) != key:
        raise Refusal(f"The kept loss {key[:8]} was changed since; expected it as it was kept: paste it again")
    lay(read(text))
    return _desk[key]


def _folder() -> Path:
    return home() / "pasted"


def _file(key: str) -> Path:
    return _folder() / f"{key}.py"


def _name(key: str) -> Path:
    return _folder() / f"{key}.name.txt"
