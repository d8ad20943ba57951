"""Reading a text runs nothing of it, and every refusal is one sentence with its line."""

import pytest

from core.pasted.examples import EXAMPLES
from core.pasted.source import LETTERS, LINES, Source, plainly, read
from core.refusal import Refusal

BODY = "    return a.sum()"
REFUSED = {
    "nothing": ("  \n\n", "There is no text yet"),
    "no Python": ("def loss(a, b):\n    return a +", "Line 2 is no Python"),
    "a closing bracket": ("def loss(a, b):\n    return (a", "Line 2 is no Python"),
    "a null": ("def loss(a, b):\n    return a\0", "is no Python"),
    "too deep": ("def loss(a, b):\n    return " + "(" * 900 + "a" + ")" * 900, "is no Python"),
    "too long": ("# " + "x" * LETTERS, "expected a loss of ten lines"),
    "too many lines": ("\n".join("#" for _ in range(LINES + 2)) + "\nx = 1", "expected a loss of ten lines"),
    "another name": (f"def cost(a, b):\n{BODY}", "No function is called loss, only cost; expected one"),
    "two of them": (f"def loss(a, b):\n{BODY}\ndef loss(a, b):\n{BODY}", "2 functions are called loss"),
    "another signature": ("def loss(x, y):\n    return x", "Line 1: loss takes (x, y); expected def loss(scores)"),
    "one more input": (f"def loss(a, b, labels):\n{BODY}", "loss takes (a, b, labels)"),
    "any inputs": (f"def loss(a, b, *more):\n{BODY}", "loss takes (a, b, *)"),
    "a bare keyword": (f"def loss(a, b, *, margin):\n{BODY}", "loss takes (a, b, margin)"),
    "a class": (f"class loss:\n    pass\ndef loss(a, b):\n{BODY}", "Line 1 does something outside a function"),
    "a statement": (f"print('hello')\ndef loss(a, b):\n{BODY}", "Line 1 does something outside a function"),
    "a decorator": (f"@torch.compile\ndef loss(a, b):\n{BODY}", "has a decorator"),
    "a memory": (f"n = 0\ndef loss(a, b):\n    global n\n    n += 1\n{BODY}", "Line 3 keeps something"),
    "os": (f"import os\ndef loss(a, b):\n{BODY}", "Line 1 imports os; expected torch and math alone"),
    "sys, inside": (f"def loss(a, b):\n    from sys import exit\n{BODY}", "Line 2 imports sys"),
    "a neighbour": (f"from . import secret\ndef loss(a, b):\n{BODY}", "Line 1 imports ."),
    "open": ("def loss(a, b):\n    return open('/etc/passwd')", "Line 2 uses open; expected a function that only"),
    "__import__": ("def loss(a, b):\n    return __import__('os')", "Line 2 uses __import__"),
    "eval": ("def loss(a, b):\n    return eval('a')", "uses eval"),
    "getattr": ("def loss(a, b):\n    return getattr(torch, 'o' + 's')", "uses getattr"),
    "torch.os": ("def loss(a, b):\n    return torch.os.system('true')", "uses os"),
    "torch.load": ("def loss(a, b):\n    return torch.load('x')", "uses load"),
    "load by import": (f"from torch import load\ndef loss(a, b):\n{BODY}", "uses load"),
    "what lies below": ("def loss(a, b):\n    return a.__class__", "uses __class__"),
    "a frame": ("def loss(a, b):\n    return (x for x in a).gi_frame", "uses gi_frame"),
    "a seed for all": ("def loss(a, b):\n    torch.manual_seed(0)\n    return a.sum()", "uses manual_seed"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_text_that_may_not_run_ends_in_one_sentence(name):
    text, said = REFUSED[name]
    with pytest.raises(Refusal) as refused:
        read(text)
    sentence = str(refused.value)
    assert said in sentence
    assert "expected" in sentence
    assert "\n" not in sentence
    assert len(sentence) < 400


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_may_run(name):
    assert read(EXAMPLES[name]).text == EXAMPLES[name]


def test_helpers_constants_and_imports_of_torch_may_stand_beside_it():
    text = (
        '"""Mine."""\nfrom __future__ import annotations\nimport math\nimport torch.nn.functional as G\n'
        "TAU: float = 0.1\ndef input(a, b):\n    return a @ b.T\n"
        "def loss(a, b, margin=0.2, *, tau=TAU):\n    max = math.pi\n    return input(a, b).mean() * max\n"
    )
    with pytest.raises(Refusal, match="Line 2 imports __future__"):
        read(text)
    assert read(text.replace("from __future__ import annotations\n", "")).form == "pairs"


def test_equal_texts_have_one_key_whatever_ends_their_lines():
    one, other = (
        read("def loss(scores):\n    return scores.mean()"),
        read("def loss(scores):  \r\n\treturn scores.mean()\r\n"),
    )
    assert one.form == "scores"
    assert plainly(other.text) == other.text
    assert one.key == read("\n\n" + one.text + "\n").key
    assert one.key != Source(one.text + "#", "scores").key
    assert one.lines == 2
