"""The text of a loss that somebody wrote: held to what is allowed before anything of it runs.

Reading runs nothing. It keeps honest code from going astray with a sentence; what holds a dishonest one is the process
that it runs in (`core.pasted.bench`).
"""

import ast
import builtins
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from core.refusal import Refusal

LINES, LETTERS, NAME = 100, 8_000, "loss"
Form = Literal["scores", "pairs"]
FORMS: dict[tuple[str, ...], Form] = {("scores",): "scores", ("a", "b"): "pairs"}
SHAPE = f"def {NAME}(scores) or def {NAME}(a, b)"
GIVEN = ("torch", "math", "F")
IMPORTS = ("torch", "torch.nn", "torch.nn.functional", "torch.linalg", "torch.special", "torch.fft", "math")
PLAIN = (
    "abs", "all", "any", "bool", "dict", "divmod", "enumerate", "filter", "float", "int", "isinstance", "len", "list",
    "map", "max", "min", "next", "pow", "print", "range", "reversed", "round", "set", "slice", "sorted", "str", "sum",
    "tuple", "zip", "ArithmeticError", "AssertionError", "Exception", "IndexError", "NotImplementedError",
    "RuntimeError", "TypeError", "ValueError",
)  # fmt: skip
# What of torch reads or writes files, compiles, or changes how all later numbers come out.
OUTSIDE = (
    "compile", "from_file", "hub", "import_ir_module", "initial_seed", "jit", "load", "manual_seed", "os", "save",
    "seed", "set_default_device", "set_default_dtype", "set_default_tensor_type", "set_num_interop_threads",
    "set_num_threads", "set_rng_state", "share_memory_", "sys", "tofile", "use_deterministic_algorithms",
)  # fmt: skip
FRAMES = ("ag_", "co_", "cr_", "f_", "gi_", "tb_")
TOP = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.Assign, ast.AnnAssign)


@dataclass(frozen=True)
class Source:
    """A text that may be run: one function called loss, of `form` scores or pairs, beside helpers and constants."""

    text: str
    form: Form

    @property
    def key(self) -> str:
        """What it is found by: 64 hex digits that depend on every letter."""
        return key_of(self.text)

    @property
    def lines(self) -> int:
        return sum(1 for line in self.text.splitlines() if line.strip())


def key_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def plainly(text: str) -> str:
    """The same text with plain line ends, nothing after the last letter of a line, and one end."""
    return "\n".join(line.rstrip() for line in text.expandtabs(4).splitlines()).strip("\n") + "\n"


def read(text: str) -> Source:
    """Hold a text to what is allowed.

    Raises:
        Refusal: with one sentence that names the line.
    """
    text = plainly(text)
    if not text.strip():
        raise Refusal(f"There is no text yet; expected {SHAPE}: write one, or start from an example")
    if len(text) > LETTERS or text.count("\n") > LINES:
        raise Refusal(
            f"The text has {text.count(chr(10)):,} lines and {len(text):,} letters; expected a loss of ten lines, at "
            f"most {LINES} and {LETTERS:,}: leave out what it does not need"
        )
    tree = _parsed(text)
    for fault in (*_at_the_top(tree), *_names(tree)):
        raise Refusal(fault)
    return Source(text, _form(tree))


def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        seen = (error.text or "").strip()[:60]
        raise Refusal(
            f"Line {error.lineno or 1} is no Python ({error.msg}{f': {seen}' if seen else ''}); expected {SHAPE}: "
            "mend that line"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise Refusal(f"The text is no Python ({type(error).__name__}); expected {SHAPE}: type it anew") from error


def _at_the_top(tree: ast.Module) -> Iterator[str]:
    """Faults of the statements that stand outside functions."""
    for node in tree.body:
        comment = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not isinstance(node, TOP) and not comment:
            yield (
                f"Line {node.lineno} does something outside a function; expected functions, constants and imports "
                f"there: move it into {NAME}"
            )
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imports(node)
        elif isinstance(node, ast.ClassDef | ast.AsyncFunctionDef | ast.Global | ast.Nonlocal):
            yield f"Line {node.lineno} keeps something or waits; expected plain functions: compute it anew at each call"
        elif isinstance(node, ast.FunctionDef) and node.decorator_list:
            yield f"Line {node.lineno} has a decorator; expected a plain function: take the line with @ away"


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else ["." * node.level]
    if isinstance(node, ast.ImportFrom) and not node.level:
        found = [node.module or ""]
    for name in found:
        if name not in IMPORTS:
            yield f"Line {node.lineno} imports {name[:40]}; expected torch and math alone: compute it with those"


def _names(tree: ast.Module) -> Iterator[str]:
    """Names that lead away from computing; what the text itself calls so is its own."""
    own = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    own |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    barred = set(dir(builtins)) - set(PLAIN) - own
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            name, away = node.id, node.id.startswith("__") or node.id in barred
        elif isinstance(node, ast.Attribute):
            name = node.attr
            away = name.startswith(("_", *FRAMES)) or name in OUTSIDE
        elif isinstance(node, ast.alias):
            name, away = node.name, node.name.rpartition(".")[2] in OUTSIDE or node.name.startswith("_")
        else:
            continue
        if away and name not in ("None", "True", "False"):
            yield f"Line {node.lineno} uses {name[:40]}; expected a function that only computes: leave it out"


def _form(tree: ast.Module) -> Form:
    """What the function takes."""
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == NAME]
    if len(found) != 1:
        others = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name != NAME]
        there = f", only {', '.join(others)[:60]}" if others and not found else ""
        seen = f"{len(found)} functions are" if found else "No function is"
        raise Refusal(f"{seen} called {NAME}{there}; expected one, {SHAPE}: name it so")
    given = found[0].args
    names = tuple(arg.arg for arg in (*given.posonlyargs, *given.args))
    needed = names[: len(names) - len(given.defaults)]
    bare = [arg.arg for arg, value in zip(given.kwonlyargs, given.kw_defaults, strict=True) if value is None]
    if needed not in FORMS or bare or given.vararg or given.kwarg:
        seen = ", ".join((*needed, *bare, *(["*"] if given.vararg or given.kwarg else [])))[:80]
        raise Refusal(
            f"Line {found[0].lineno}: {NAME} takes ({seen}); expected {SHAPE}, where anything more has a value of its "
            "own: rename what it takes"
        )
    return FORMS[needed]
