"""A pasted loss computes in a process of its own, which is stopped where it asks for too much; nothing else is."""

import ast
import subprocess
import sys

import pytest
import torch

from core.confined import address_space
from core.environment import ROOT
from core.losses.registry import LOSSES
from core.pasted import calls, kept
from core.pasted.calls import Bounds, Fault, call
from core.pasted.entry import Pasted
from core.pasted.examples import SOUND
from core.pasted.source import Source, read
from core.streams import stream

HOLDS = not calls.lacking()


def embeddings(n: int = 12, dim: int = 8, dtype=torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    made = (torch.randn(n, dim, generator=stream(0, side), dtype=torch.float64) for side in ("a", "b"))
    a, b = (torch.nn.functional.normalize(x, dim=1).to(dtype).requires_grad_() for x in made)
    return a, b


def asked(text: str, **bounds) -> calls.Answer:
    """What a body that takes a and b answers."""
    a, b = embeddings()
    return call(read(f"def loss(a, b):\n{text}"), {"a": a, "b": b}, None, Bounds(**bounds))


def unread(body: str) -> Source:
    """A text that no check has seen, as a process would meet it if reading had let it pass."""
    return Source(f"def loss(a, b):\n{body}", "pairs")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_infonce_typed_by_hand_is_the_registered_one(dtype):
    p = Pasted(code=kept.lay(read(SOUND["InfoNCE"])))
    found = []
    for paying, params in ((LOSSES["pasted"].call, p), (LOSSES["info_nce"].call, LOSSES["info_nce"].params())):
        a, b = embeddings(dtype=dtype)
        paid = paying(a, b, params)
        force = torch.autograd.grad(paid.total(), [paid.pairs[0].scores, a, b], retain_graph=True)
        uneven = torch.linspace(0, 1, len(a), dtype=dtype)
        weighed = torch.autograd.grad((paid.terms[""].per * uneven).sum(), [a, b])
        found.append((paid.terms[""].per, paid.pairs[0].scores, paid.pairs[0].role, *force, *weighed))
    for mine, registered in zip(*found, strict=True):
        torch.testing.assert_close(mine, registered, **{"rtol": 1e-12, "atol": 1e-12} if dtype == torch.float64 else {})


def test_a_loss_of_both_embeddings_pays_and_moves_as_it_says():
    text = "def loss(a, b):\n    return (a - b).square().sum()\n"
    a, b = embeddings()
    paid = LOSSES["pasted"].call(a, b, Pasted(code=kept.lay(read(text))))
    assert (paid.pairs, paid.terms[""].axis) == ((), "batch")
    torch.testing.assert_close(paid.total(), (a - b).square().sum())
    of_a, of_b = torch.autograd.grad(paid.total(), [a, b])
    torch.testing.assert_close(of_a, 2 * (a - b).detach())
    torch.testing.assert_close(of_b, 2 * (b - a).detach())


STOPPED = {
    "a loop": ("    while True:\n        pass", {"seconds": 1}, "late", "took more than 1 s and was stopped"),
    "10 GB of numbers": ("    return torch.ones(2_500_000_000).sum()", {}, "memory", "more than 1,000 MB of memory"),
    "10 GB of a list": ("    return [0.5] * 1_250_000_000", {}, "memory", "more than 1,000 MB of memory"),
    "little by little": (
        "    x = [a]\n    while True:\n        x.append(torch.ones(1_000_000))", {"seconds": 30}, "memory", "1,000 MB",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STOPPED)
def test_what_asks_for_too_much_is_stopped_with_a_sentence_and_the_asker_lives_on(name):
    body, bounds, kind, said = STOPPED[name]
    before = address_space() or 0
    with pytest.raises(Fault, match=said) as refused:
        asked(body, **bounds)
    assert refused.value.kind == kind or not HOLDS
    assert "expected" in str(refused.value)
    assert (address_space() or 0) - before < 500_000_000
    assert float(asked("    return a.sum() * 0 + 3").paid) == 3


def test_a_loop_among_the_constants_is_stopped_too():
    source = Source("x = sum(k for k in range(10 ** 12))\ndef loss(a, b):\n    return a.sum()\n", "pairs")
    with pytest.raises(Fault, match="took more than 1 s"):
        call(source, dict(zip("ab", embeddings(), strict=True)), None, Bounds(seconds=1))


REFUSED = {
    "an error": ("    return a[100]", "raised", "It raised IndexError in line 2 for 12 pairs (index 100"),
    "a number of Python": ("    return a.sum().item()", "returned", "It returned float, which is no tensor"),
    "nothing": ("    a.sum()", "returned", "It returned NoneType"),
    "whole numbers": ("    return a.argmax()", "returned", "It returned int64"),
    "a matrix": ("    return a @ b.T", "shape", "It returned the shape (12, 12) for 12 pairs; expected () or (12,)"),
    "another module": ("    return torch.random.seed()", "raised", "raised AttributeError in line 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_loss_is_named(name):
    body, kind, said = REFUSED[name]
    with pytest.raises(Fault) as refused:
        call(unread(body), dict(zip("ab", embeddings(), strict=True)))
    assert refused.value.kind == kind
    assert said in str(refused.value)


ESCAPES = {
    "os by import": "    import os\n    return a.sum()",
    "os by its name": "    return __import__('os').system('true')",
    "open": "    return open('/etc/hostname').read()",
    "eval": "    return eval('1')",
    "os through torch": "    return torch.os.listdir('/')",
    "another module through torch": "    return torch.functional.itertools.count()",
    "a file through torch": "    return torch.load('/etc/hostname')",
    "the class of everything": "    return ().__class__.__base__.__subclasses__()[0].nothing",
    "a frame": "    return (x for x in [1]).gi_frame.f_back.f_globals['__builtins__']['open']",
}


@pytest.mark.parametrize("name", ESCAPES)
def test_ways_out_are_shut_even_where_reading_let_them_pass(name):
    with pytest.raises(Fault) as refused:
        call(unread(ESCAPES[name]), dict(zip("ab", embeddings(), strict=True)))
    assert refused.value.kind in ("raised", "returned")


BEHIND = """
import os, sys
from core.pasted import bench
import socket, subprocess
bench.warm_up()
bench.confine({"NOFILE": 0, "FSIZE": 0, "CORE": 0}, 1_000_000_000)
def tries():
    yield lambda: open(sys.argv[1], "w")
    yield lambda: open("/etc/hostname")
    yield lambda: socket.socket()
    yield lambda: subprocess.run(["true"], check=True)
    yield lambda: os.listdir("/")
for way in tries():
    try:
        way()
    except OSError:
        print("shut")
print(os.system("touch " + sys.argv[1]))
"""


def test_code_that_got_out_all_the_same_opens_no_file_no_socket_and_no_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BEHIND, str(tmp_path / "trace")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *ways, shell = done.stdout.split()
    held = ways == ["shut"] * 5 and int(shell) != 0 and not (tmp_path / "trace").exists()
    assert held or "files" in calls.lacking()


def test_a_stop_is_heard_while_a_call_hangs():
    with pytest.raises(calls.Stopped), calls.stopping(lambda: True):
        asked("    while True:\n        pass", seconds=60)
    assert float(asked("    return a.sum() * 0 + 3").paid) == 3


def test_a_process_that_died_is_replaced():
    asked("    return a.sum()")
    for bench in list(calls._pool.values()):
        bench.stop()
    assert float(asked("    return a.sum() * 0 + 3").paid) == 3
    assert calls._warm is not None
    calls._warm.process.kill()
    calls._warm.process.wait()
    assert float(asked("    return a.sum() * 0 + 4").paid) == 4


def test_a_fresh_process_does_the_same_where_nothing_can_be_forked(monkeypatch):
    monkeypatch.setattr(calls, "forks", lambda: False)
    assert float(asked("    return a.sum() * 0 + 5").paid) == 5
    calls.end_all()


def test_only_the_process_for_it_runs_a_text():
    """One line of the project runs what was typed, and no module that the app imports holds it."""
    running = [
        file.relative_to(ROOT).as_posix()
        for part in ("core", "dashboard", "pages")
        for file in sorted((ROOT / part).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("exec", "eval")
    ]
    assert running == ["core/pasted/bench.py"]
    asked("    return a.sum()")
    assert "core.pasted.bench" not in sys.modules
