"""The losses that match two modalities to the keys of a teacher, by targets that it softens."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.core.losses.references.slow import Matrix, N, P, Slow, Vector, X, dot, mean

Table = tuple[Matrix, list[list[int]]]


def log_softmax(logits: Vector) -> Vector:
    top = max(logits)
    total = top + math.log(sum(math.exp(v - top) for v in logits))
    return [v - total for v in logits]


def found_among(x: Matrix, keys: Matrix, bank: Matrix) -> Table:
    """Scores with all keys and then a bank; the key of the same place is the positive."""
    scores = [[dot(u, v) for v in [*keys, *bank]] for u in x]
    return scores, [[P if i == j else N for j in range(len(row))] for i, row in enumerate(scores)]


def softened(scores: Matrix, taught: Matrix, share: float, tau: float, sharpness: float) -> Vector:
    """Li et al. 2021, eq. 6, as a cross entropy: part of the target is the teacher's softmax, the rest the item's."""
    paid = []
    for i, (row, hers) in enumerate(zip(scores, taught, strict=True)):
        soft = [math.exp(v) for v in log_softmax([s / sharpness for s in hers])]
        target = [share * q + (1 - share) * (i == j) for j, q in enumerate(soft)]
        paid.append(-sum(q * v for q, v in zip(target, log_softmax([s / tau for s in row]), strict=True)))
    return paid


def msd_momentum(given: Mapping[str, Any], p: Any) -> Slow:
    """Each side against the teacher's keys of the other one; half of each."""
    a, b, t, u = (given[name] for name in ("a", "b", "teacher", "other_teacher"))
    per, tables = {}, []
    for name, x, own, keys, bank in (("a_to_b", a, t, u, "other_bank"), ("b_to_a", b, u, t, "bank")):
        more = given.get(bank, [])
        table = found_among(x, keys, more)
        hers, _ = found_among(own, keys, more)
        per[name] = softened(table[0], hers, p.distillation, p.temperature, p.temperature)
        tables.append(table)
    return Slow(per, sum(mean(paid) / 2 for paid in per.values()), *tables[0], more=(tables[1],))


def beside_parts(x: Matrix, parts: list[Matrix], there: list[list[bool]]) -> Table:
    scores = [[dot(u, v) for group in parts for v in group] for u in x]
    roles = [
        [(P if i == m else N) if here else X for m, group in enumerate(there) for here in group] for i in range(len(x))
    ]
    return scores, roles


def own_parts(table: Table, tau: float) -> Vector:
    """Yang et al. 2022, the loss of local and global: each own part alone against all parts of the others."""
    paid = []
    for row, roles in zip(*table, strict=True):
        near, far = ([s / tau for s, role in zip(row, roles, strict=True) if role == kind] for kind in (P, N))
        paid.append(mean([-log_softmax([s, *far])[0] for s in near]))
    return paid


def tcl(given: Mapping[str, Any], p: Any) -> Slow:
    """Yang et al. 2022: across modalities, within each, and the parts; a sixth of each of the six."""
    tau, sharpness = given.get("temperature", p.temperature), given["target_temperature"]
    a, b, t, u = (given[name] for name in ("a", "b", "teacher", "other_teacher"))
    every = [[True] * len(group) for group in given["parts"]]
    per, total, tables = {}, 0.0, []
    for side, x, own, keys, own_bank, key_bank, parts, there in (
        ("a", a, t, u, "bank", "other_bank", given["parts"], every),
        ("b", b, u, t, "other_bank", "bank", given["other_parts"], given["part_mask"]),
    ):
        across = found_among(x, keys, given.get(key_bank, []))
        hers, _ = found_among(own, keys, given.get(key_bank, []))
        within = found_among(x, own, given.get(own_bank, []))
        local = beside_parts(x, parts, there)
        paid = {
            "across": softened(across[0], hers, p.distillation, tau, sharpness),
            "within": [-log_softmax([s / tau for s in row])[i] for i, row in enumerate(within[0])],
            "local": own_parts(local, tau),
        }
        for name, each in paid.items():
            per[f"{side}.{name}"] = each
            total += getattr(p, name) * mean(each) / 6
        tables += [across, within, local]
    return Slow(per, total, *tables[0], more=tuple(tables[1:]))


REFERENCES: Mapping[str, Callable[[Mapping[str, Any], Any], Slow]] = {"msd_momentum": msd_momentum, "tcl": tcl}
