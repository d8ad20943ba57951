"""Messages between the app and the process that runs a pasted loss: a JSON object and named tensors, nothing else."""

import json
from collections.abc import Mapping
from typing import IO, Any

from safetensors.torch import load, save
from torch import Tensor

LENGTH, HEAD = 8, 1 << 16


def send(stream: IO[bytes], head: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write one message."""
    words, body = json.dumps(head).encode(), save({name: value.contiguous() for name, value in tensors.items()})
    for part in (words, body):
        stream.write(len(part).to_bytes(LENGTH, "little") + part)
    stream.flush()


def receive(stream: IO[bytes], most: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read one message whose tensors have at most `most` bytes.

    Raises:
        EOFError: if the other side is gone.
        ValueError: if it is no such message.
    """
    words, body = _part(stream, HEAD), _part(stream, most)
    try:
        head, tensors = json.loads(words), load(body)
    except Exception as error:
        raise ValueError(f"no message ({type(error).__name__})") from error
    if not isinstance(head, dict):
        raise ValueError("no message (its head is no object)")
    return head, tensors


def _part(stream: IO[bytes], most: int) -> bytes:
    size = int.from_bytes(_exactly(stream, LENGTH), "little")
    if size > most:
        raise ValueError(f"no message (a part of {size:,} bytes)")
    return _exactly(stream, size)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError
    return found
