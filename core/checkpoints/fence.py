"""The app's side of the fence: a stranger's file goes in, a folder of safetensors and a summary comes out."""

import atexit
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

from pydantic import ValidationError

from core import confined
from core.checkpoints.limits import INDEX, SUFFIXES, Limits, wanted
from core.checkpoints.safetensors_file import header
from core.checkpoints.summary import REFUSED, SUMMARY, TENSORS, Summary
from core.environment import ROOT
from core.home import home
from core.refusal import Refusal

KEPT = 12
NAME, LONGEST_NAME = "name.txt", 80
GRACE = 30.0
_lock = threading.Lock()
_warm: subprocess.Popen[str] | None = None


def forks() -> bool:
    """Whether this system can fork a warm reader; elsewhere each file is read by a fresh process."""
    return hasattr(os, "fork") and sys.platform != "darwin"


def unlimited() -> list[str]:
    """What this system does not limit for the reading process, in words; the checks and the timeout always hold."""
    return confined.unlimited("what it writes")


def checkpoints_home() -> Path:
    return home() / "checkpoints"


def add(files: Sequence[Path], limits: Limits | None = None) -> str:
    """Read files through the fence and keep what it writes; the files are not changed.

    Args:
        files: one file of weights, or the parts of one with or without their index.
        limits: caps, the usual ones if None.

    Returns:
        The key under which `folder_of` finds the result: a hash of the content.

    Raises:
        Refusal: with one sentence, if a file is not to be opened.
    """
    limits = limits or Limits()
    parts = _parts([Path(file) for file in files], limits)
    size = sum(part.stat().st_size for part in parts)
    if size > limits.file:
        raise Refusal(f"The file has {size / 1e6:,.0f} MB; expected at most {limits.file / 1e6:,.0f} MB: save less")
    key = _hash(parts)
    if (folder_of(key) / SUMMARY).exists():
        os.utime(folder_of(key))
        _call(key, parts[0].name)
        return key
    checkpoints_home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=checkpoints_home(), prefix=".reading-") as scratch:
        made = [_read(part, Path(scratch) / f"{place}", limits) for place, part in enumerate(parts)]
        whole = Path(scratch) / "whole"
        whole.mkdir()
        for place, _ in enumerate(parts):
            (Path(scratch) / f"{place}" / TENSORS).replace(whole / f"tensors-{place:03}.safetensors")
        _hold_apart(parts, sorted(whole.iterdir()), limits)
        (whole / SUMMARY).write_text(_together(made, size).model_dump_json())
        try:
            whole.replace(folder_of(key))
        except OSError:
            if not (folder_of(key) / SUMMARY).exists():
                raise
    _call(key, parts[0].name)
    _prune()
    return key


def folder_of(key: str) -> Path:
    """Where the fenced copy of a file lies."""
    return checkpoints_home() / key


def listed() -> list[str]:
    """The keys of the files that are kept, those opened last first."""
    kept = [folder for folder in checkpoints_home().glob("[!.]*") if (folder / SUMMARY).exists()]
    return [folder.name for folder in sorted(kept, key=lambda folder: folder.stat().st_mtime, reverse=True)]


def name_of(key: str) -> str:
    """What the file was called when it was opened last; a stranger's words."""
    try:
        return (folder_of(key) / NAME).read_text(encoding="utf-8")[:LONGEST_NAME]
    except OSError:
        return "checkpoint"


def forget(key: str) -> None:
    """Delete the fenced copy of a file.

    Raises:
        OSError: if the system does not let it be deleted.
    """
    shutil.rmtree(folder_of(key))


def _call(key: str, name: str) -> None:
    (folder_of(key) / NAME).write_text(name[:LONGEST_NAME], encoding="utf-8")


def _parts(files: list[Path], limits: Limits) -> list[Path]:
    """The files of weights that are meant, each a plain file."""
    indexes = [file for file in files if file.name.endswith(INDEX)]
    if indexes and len(files) == 1:
        files = _named_by(indexes[0], limits)
    weights = [file for file in files if not file.name.endswith(INDEX)]
    if not weights:
        raise Refusal("No file of weights was given; expected one, or the parts that an index names: add them")
    for file in weights:
        if not file.is_file():
            raise Refusal(f"'{file.name[:80]}' is no file; expected a checkpoint: name one that exists")
        if file.suffix not in SUFFIXES:
            raise Refusal(
                f"'{file.name[:80]}' does not end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}; expected a "
                "checkpoint: rename it if it is one"
            )
    return sorted(weights)


def _named_by(index: Path, limits: Limits) -> list[Path]:
    """The files that an index names, which lie beside it and nowhere else."""
    try:
        if index.stat().st_size > limits.header:
            raise Refusal(f"The index '{index.name[:80]}' is too large; expected at most {limits.header:,} bytes")
        named = json.loads(index.read_bytes())["weight_map"].values()
        names = sorted({name for name in named if isinstance(name, str)})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refusal(
            f"'{index.name[:80]}' is no index ({type(error).__name__}); expected JSON with a weight_map: add the "
            "parts themselves"
        ) from error
    if len(names) > limits.parts:
        raise Refusal(f"The index names {len(names):,} files; expected at most {limits.parts}: merge them")
    folder = index.resolve().parent
    for name in names:
        if PurePath(name).name != name or "\\" in name or (folder / name).resolve().parent != folder:
            raise Refusal(
                f"The index names '{name[:80]}', outside its own folder; expected parts beside it: copy them there"
            )
        if not (folder / name).is_file():
            raise Refusal(f"The index names '{name[:80]}', which is missing; expected it beside the index: fetch it")
    return [folder / name for name in names]


def _hash(parts: Sequence[Path]) -> str:
    found = hashlib.sha256()
    for part in parts:
        with part.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()


def _read(file: Path, out: Path, limits: Limits) -> Summary:
    """Have one file of weights read by a fenced process."""
    try:
        return Summary.model_validate(through(file, out, limits))
    except ValidationError as error:
        raise Refusal("The fenced reader gave no summary; expected one: try the file again") from error


def through(file: Path, out: Path, limits: Limits) -> Any:
    """Have one file read by a fenced process.

    Args:
        file: of any kind that the reader knows by its suffix.
        out: a folder to be made, for what the process writes.
        limits: caps.

    Returns:
        The summary that the process left, as JSON that nobody has checked.

    Raises:
        Refusal: with one sentence, if the file is not to be opened or the process had to be stopped.
    """
    out.mkdir()
    asked = {"file": str(file.resolve()), "out": str(out), "limits": limits.model_dump()}
    ended = _ask_warm(asked) if forks() else _ask_fresh(asked, limits.seconds)
    size = file.stat().st_size
    refused, (what, instead) = _json(out / REFUSED), wanted(file.suffix)
    if isinstance(refused, dict) and isinstance(refused.get("sentence"), str):
        raise Refusal(refused["sentence"][:1_000])
    if ended == "late":
        raise Refusal(f"Reading the file took more than {limits.seconds:.0f} s; expected less: {instead}")
    if ended != "well":
        raise Refusal(
            f"Reading the file was stopped ({ended}): it is damaged, or asks for more than "
            f"{limits.room(size) / 1e6:,.0f} MB of memory; expected {what}: {instead}"
        )
    return _json(out / SUMMARY)


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _command() -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "core.checkpoints.reader"]


def _start() -> subprocess.Popen[str]:
    """A warm reader, ready for the first file."""
    process = subprocess.Popen(
        _command(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_least_environment(),
        text=True,
    )
    atexit.register(_end, process)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def _end(process: subprocess.Popen[str]) -> None:
    """Stop a reader, and close the pipes to it; what it had not taken yet is lost with it."""
    process.kill()
    with suppress(BrokenPipeError), process:
        pass


def _least_environment() -> dict[str, str]:
    return confined.least_environment() | {"ARROW_DEFAULT_MEMORY_POOL": "system"}


def warm_up() -> None:
    """Start the warm reader, so that the first file need not wait for it."""
    if forks():
        with _lock:
            _ready()


def _ready() -> subprocess.Popen[str]:
    """The warm reader, started anew where it has ended; for who holds the lock."""
    global _warm
    if _warm is not None and _warm.poll() is not None:
        _end(_warm)
        _warm = None
    if _warm is None:
        _warm = _start()
    return _warm


def _ask_warm(asked: dict[str, Any]) -> str:
    """Ask the warm reader; one that has died is replaced."""
    with _lock:
        for _ in range(2):
            reader = _ready()
            assert reader.stdin is not None
            assert reader.stdout is not None
            try:
                reader.stdin.write(json.dumps(asked) + "\n")
                reader.stdin.flush()
                return str(json.loads(reader.stdout.readline())["ended"])
            except (OSError, ValueError):
                reader.kill()
                reader.wait()
        raise Refusal("The process that reads files could not be kept running; expected it to: start the app again")


def _ask_fresh(asked: dict[str, Any], seconds: float) -> str:
    try:
        done = subprocess.run(
            [*_command(), json.dumps(asked)],
            cwd=ROOT,
            env=_least_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds + GRACE,
        )
    except subprocess.TimeoutExpired:
        return "late"
    return "well" if done.returncode == 0 else "failed"


def _together(made: Sequence[Summary], size: int) -> Summary:
    """One summary of all parts."""
    if len(made) == 1:
        return made[0]
    return Summary(
        kind="sharded",
        size=size,
        notes={name: text for each in made for name, text in each.notes.items()},
        tied={name: text for each in made for name, text in each.tied.items()},
        left={name: text for each in made for name, text in each.left.items()},
        classes=tuple(sorted({name for each in made for name in each.classes})),
    )


def _hold_apart(parts: Sequence[Path], copies: Sequence[Path], limits: Limits) -> None:
    """Refuse parts that hold a tensor of the same name, since they are several checkpoints and not one."""
    holder: dict[str, Path] = {}
    for part, copy in zip(parts, copies, strict=True):
        for name in header(copy, limits):
            first = holder.setdefault(name, part)
            if first is not part:
                raise Refusal(
                    f"'{first.name[:80]}' and '{part.name[:80]}' both hold '{name[:60]}'; expected the parts of one "
                    "checkpoint: open them one after the other"
                )


def _prune() -> None:
    """Keep the files that were opened last."""
    kept = sorted(checkpoints_home().glob("[!.]*"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in kept[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
