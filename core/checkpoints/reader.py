"""The process that reads strangers' files: warm with torch and nothing of the app, it forks once for each file.

The forked child has limits on memory, time and what it may write, reads one file, writes tensors.safetensors (or
the columns of a table) and summary.json into the folder that it was given, and ends. `core.checkpoints.fence` speaks
with it in lines of JSON.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from core.checkpoints import safetensors_file, tables, torch_file
from core.checkpoints.columns import Table
from core.checkpoints.limits import SUFFIXES, TABLES, Limits, wanted
from core.checkpoints.summary import REFUSED, SUMMARY, TENSORS, Summary
from core.confined import confine
from core.refusal import Refusal

WRITES = 1 << 20
PATIENCE = 0.005


def read(file: Path, out: Path, limits: Limits) -> Summary | Table:
    """Check one file, and write its tensors to `out` as `TENSORS`, or its columns if it is a table.

    Raises:
        Refusal: with one sentence, if it is not to be opened.
    """
    if file.suffix in TABLES:
        return tables.read(file, out, limits)
    size = file.stat().st_size
    if size > limits.file:
        raise Refusal(f"The file has {size / 1e6:,.0f} MB; expected at most {limits.file / 1e6:,.0f} MB: save less")
    with file.open("rb") as stream:
        start = stream.read(9)
    if start[:4] == b"PK\x03\x04":
        torch_file.check_archive(file, limits)
        return _convert(file, out, limits, "torch archive")
    if start[8:9] == b"{":
        safetensors_file.convert(file, out / TENSORS, limits)
        return Summary(kind="safetensors", size=size, notes=safetensors_file.metadata(file, limits))
    if start[:1] == b"\x80":
        return _convert(file, out, limits, "torch legacy")
    raise Refusal(
        f"The file begins with {start[:4]!r}, which is no checkpoint; expected one of {', '.join(SUFFIXES[:-1])} as "
        "torch or safetensors write them"
    )


def _convert(file: Path, out: Path, limits: Limits, kind: Any) -> Summary:
    size = file.stat().st_size
    found = torch_file.gather(torch_file.load(file), limits, size)
    if not found.tensors:
        raise Refusal("The file holds no tensors; expected weights: save the state_dict of the network")
    save_file(
        {name: value.resolve_conj().resolve_neg().contiguous().clone() for name, value in found.tensors.items()},
        out / TENSORS,
    )
    return Summary(
        kind=kind, size=size, notes=found.notes, tied=found.tied, left=found.left, classes=tuple(sorted(found.classes))
    )


def fence_in(size: int, limits: Limits, writes: int = 0) -> None:
    """Limit this process for good, as far as the operating system can; `fence.unlimited` says what it cannot.

    Args:
        size: of the file to be read.
        limits: caps.
        writes: bytes that it may write into one file, where these are more than its copies of `size`.
    """
    caps = {
        "CPU": int(limits.seconds) + 1,
        "FSIZE": max(writes, int(limits.copies * size)) + WRITES,
        "CORE": 0,
    }
    confine(caps, limits.room(size))


def answer(file: Path, out: Path, limits: Limits) -> None:
    """Read a file, the fence being up; leave its summary, or the sentence that refuses it, in `out`."""
    what, instead = wanted(file.suffix)
    try:
        summary = read(file, out, limits)
    except Refusal as error:
        refuse(out, str(error))
    except MemoryError:
        refuse(out, beyond_memory(file, limits))
    except RecursionError:
        refuse(out, f"The file nests values too deep; expected {what}: {instead}")
    except Exception as error:
        if "alloc" in str(error) or "memory" in str(error).lower():
            refuse(out, beyond_memory(file, limits))
            return
        said = (str(error).splitlines() or [""])[0][:160]
        refuse(out, f"The file cannot be read ({type(error).__name__}: {said}); expected {what}: save it again")
    else:
        (out / SUMMARY).write_text(summary.model_dump_json())


def beyond_memory(file: Path, limits: Limits) -> str:
    size, (what, instead) = file.stat().st_size, wanted(file.suffix)
    return (
        f"The file of {size / 1e6:,.1f} MB asks for more than {limits.room(size) / 1e6:,.0f} MB of memory; expected "
        f"{what} that fit: {instead}"
    )


def alone(asked: Mapping[str, Any]) -> None:
    """Put up the fence around this process, and answer one request in it."""
    file, limits = Path(asked["file"]), Limits.model_validate(asked["limits"])
    torch.set_num_threads(1)
    fence_in(min(file.stat().st_size, limits.file), limits, limits.unpacked if file.suffix in TABLES else 0)
    answer(file, Path(asked["out"]), limits)


def refuse(out: Path, sentence: str) -> None:
    (out / TENSORS).unlink(missing_ok=True)
    (out / REFUSED).write_text(json.dumps({"sentence": sentence}))


def serve() -> None:
    """Answer requests from standard input until it is closed: one child for each, stopped when its time is over."""
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _be_the_child(asked)
        print(json.dumps({"ended": _wait(child, asked["limits"]["seconds"])}), flush=True)


def _be_the_child(asked: Mapping[str, Any]) -> None:
    """Never returns."""
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1):
            os.dup2(nothing, stream)
        alone(asked)
        code = 0
    finally:
        os._exit(code)


def _wait(child: int, seconds: float) -> str:
    """How the child ended: "well", "late", or the name of what stopped it."""
    end = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "late"
        time.sleep(PATIENCE)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return "well" if os.WEXITSTATUS(status) == 0 else "failed"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        alone(json.loads(sys.argv[1]))
    else:
        serve()
