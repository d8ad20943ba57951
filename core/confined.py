"""What a process that reads or runs what a stranger wrote is denied, as far as the operating system can deny it."""

import os
from collections.abc import Mapping
from pathlib import Path

NEEDED = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


def least_environment() -> dict[str, str]:
    """What a process needs to start, and no more: no key or token of the user's is handed on."""
    return {name: os.environ[name] for name in NEEDED if name in os.environ} | {"OMP_NUM_THREADS": "1"}


def address_space() -> int | None:
    """Bytes of address space of this process; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def unlimited(*more: str) -> list[str]:
    """What this system does not limit for such a process, in words, and `more` where it limits nothing."""
    if os.name != "posix":
        return ["memory", "processor time", *more]
    return [] if Path("/proc/self/statm").exists() else ["memory"]


def confine(caps: Mapping[str, int], memory: int) -> None:
    """Limit this process for good.

    Args:
        caps: name of a limit, such as "CPU" -> its value; none of them where the system has no limits.
        memory: bytes of address space beyond what it has now, where the system tells how much that is.
    """
    try:
        import resource
    except ImportError:
        return
    used = address_space()
    limits = dict(caps) | ({} if used is None else {"AS": used + memory})
    for name, most in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
