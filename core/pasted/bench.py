"""The process that runs a pasted loss, and nothing else does: it computes numbers and hands over numbers.

Started with torch alone, it takes one text, denies itself memory, new files, sockets and processes as far as the system
can, and then answers calls until its input is closed. Where the system forks, one warm process forks one for each text,
since loading torch takes seconds. `core.pasted.calls` speaks with it by `core.pasted.wire`.
"""

import io
import math
import os
import signal
import socket
import sys
import time
import types
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import IO, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.confined import confine
from core.pasted.source import IMPORTS, OUTSIDE, PLAIN
from core.pasted.wire import receive, send

YOURS, MOST = "<your loss>", 1 << 30


def facades() -> dict[str, types.ModuleType]:
    """Name -> the module that the text may import, holding what computes and no other module."""
    made: dict[str, types.ModuleType] = {}
    for name in IMPORTS:
        real, copy = sys.modules[name], types.ModuleType(name)
        for inner, value in vars(real).items():
            if not (inner.startswith("_") or inner in OUTSIDE or isinstance(value, types.ModuleType)):
                setattr(copy, inner, value)
        made[name] = copy
    for name, copy in made.items():
        owner, _, inner = name.rpartition(".")
        if owner:
            setattr(made[owner], inner, copy)
    return made


def made(text: str) -> Callable[..., Any]:
    """The function that the text defines, in a world of the facades and of plain builtins."""
    modules = facades()

    def importing(name: str, names: Any = None, places: Any = None, wanted: Any = (), level: int = 0) -> Any:
        if level or name not in modules:
            raise ImportError(f"{name} is not there; only torch and math are")
        return modules[name] if wanted else modules[name.partition(".")[0]]

    known = vars(sys.modules["builtins"])
    world: dict[str, Any] = {
        "__builtins__": {name: known[name] for name in PLAIN} | {"__import__": importing},
        "torch": modules["torch"],
        "math": modules["math"],
        "F": modules["torch.nn.functional"],
    }
    exec(compile(text, YOURS, "exec"), world)
    return world["loss"]


def warm_up() -> None:
    """Let torch and safetensors load what they load late, as long as files can be opened."""
    for dtype in (torch.float32, torch.float64):
        x = torch.eye(4, dtype=dtype, requires_grad=True)
        F.cross_entropy(torch.einsum("id,jd->ij", x, x), torch.arange(4)).backward()
        torch.cdist(x, x).sum().backward()
    repr(x)
    with io.BytesIO() as nowhere:
        send(nowhere, {}, {"x": x.detach()})
        nowhere.seek(0)
        receive(nowhere, MOST)


def line_of(error: BaseException) -> int:
    """The line of the text in which an error arose, 0 where it has none."""
    line, trace = getattr(error, "lineno", 0) or 0, error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == YOURS else line
        trace = trace.tb_next
    return line


def raised(error: BaseException) -> dict[str, Any]:
    said = (str(error).splitlines() or [""])[0][:200]
    return {"raised": type(error).__name__, "said": said, "line": line_of(error)}


def answer(call: Callable[..., Any], given: Mapping[str, Tensor], upstream: Tensor | None) -> tuple[dict, dict]:
    """What the function makes of its inputs, and the gradient of that, weighed by `upstream`, where it is asked for.

    The head says what was returned, which inputs were changed in place, which ones the gradient reached, and whether
    random numbers were drawn.
    """
    torch.set_default_dtype(next(iter(given.values())).dtype)
    leaves = {name: value.requires_grad_(upstream is not None) for name, value in given.items()}
    inputs = {name: leaf.clone() for name, leaf in leaves.items()}
    versions, state = [x._version for x in inputs.values()], torch.get_rng_state()
    with torch.set_grad_enabled(upstream is not None):
        found = call(*inputs.values())
    head: dict[str, Any] = {
        "type": type(found).__name__,
        "changed": [name for (name, x), old in zip(inputs.items(), versions, strict=True) if x._version != old],
        "drew": not torch.equal(state, torch.get_rng_state()),
    }
    if not isinstance(found, Tensor):
        return head, {}
    head |= {"shape": list(found.shape), "dtype": str(found.dtype).removeprefix("torch.")}
    if upstream is None or found.shape != upstream.shape:
        return head, {"paid": found.detach()}
    slopes = _slopes(found, list(leaves.values()), upstream)
    reached = {name: g for name, g in zip(leaves, slopes, strict=True) if g is not None}
    return head | {"reached": list(reached)}, {"paid": found.detach(), **reached}


def _slopes(found: Tensor, leaves: list[Tensor], upstream: Tensor) -> Iterable[Tensor | None]:
    if not found.requires_grad:
        return [None] * len(leaves)
    return torch.autograd.grad((found * upstream).sum(), leaves, allow_unused=True)


def allow_time(seconds: float) -> None:
    """Let this process compute for so long from now on; it is ended where it goes on."""
    with suppress(ImportError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), hard))


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Take a text, then answer calls."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    torch.set_num_threads(1)
    warm_up()
    asked, _ = receive(source, MOST)
    allow_time(asked["seconds"])
    confine({"NOFILE": 0, "FSIZE": 0, "CORE": 0}, asked["memory"])
    call = None
    try:
        call = made(asked["text"])
        head, tensors = {}, {}
    except Exception as error:
        head, tensors = raised(error), {}
    send(sink, head, tensors)
    while call is not None:
        _, given = receive(source, MOST)
        allow_time(asked["seconds"])
        upstream = given.pop("upstream", None)
        try:
            head, tensors = answer(call, {name: given[name] for name in asked["takes"]}, upstream)
        except Exception as error:
            head, tensors = raised(error), {}
        send(sink, head, tensors)


def alone() -> None:
    """Be the process of one text, which comes by standard input."""
    serve(*(os.fdopen(os.dup(number), mode) for number, mode in ((0, "rb"), (1, "wb"))))


def fork_on(control: socket.socket) -> None:
    """Fork a process for each socket that comes and answer its number; end the one whose number comes, and say how."""
    children: set[int] = set()
    while True:
        words, sockets, _, _ = socket.recv_fds(control, 64, 1)
        if not words:
            break
        if sockets:
            child = os.fork()
            if child == 0:
                _be_the_child(control, sockets[0])
            os.close(sockets[0])
            children.add(child)
            control.sendall(str(child).encode())
        elif (number := int(words)) in children:
            children.remove(number)
            os.kill(number, signal.SIGKILL)
            control.sendall(str(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])).encode())
        else:
            control.sendall(b"0")
    for number in children:
        os.kill(number, signal.SIGKILL)


def _be_the_child(control: socket.socket, number: int) -> None:
    """Never returns."""
    try:
        control.close()
        with suppress(EOFError, OSError):
            serve(os.fdopen(os.dup(number), "rb"), os.fdopen(number, "wb"))
    finally:
        os._exit(0)


if __name__ == "__main__":
    with suppress(EOFError, BrokenPipeError):
        if len(sys.argv) > 1:
            fork_on(socket.socket(fileno=int(sys.argv[1])))
        else:
            alone()
