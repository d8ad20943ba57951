"""What is wrong with a pasted loss is named, what is right is accepted, and the numbers said are those of the loss."""

import re

import pytest
import torch

from core.losses.registry import LOSSES
from core.pasted import checks
from core.pasted.calls import Answer, Bounds
from core.pasted.checks import Check, accepted, checked, headline
from core.pasted.examples import FAULTY, SOUND
from core.pasted.source import read
from core.streams import stream

QUICK = Bounds(seconds=1)
INFO_NCE = "F.cross_entropy(s / 0.1, torch.arange(len(s)))"


def found(text: str) -> dict[str, Check]:
    return {check.key: check for check in checked(read(text), QUICK)}


def of(body: str, takes: str = "scores") -> dict[str, Check]:
    """What is found in a function of scores, called s in its body."""
    first = "s = scores" if takes == "scores" else "s = a @ b.T"
    return found(f"def loss({takes}):\n    {first}\n    {body}\n")


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_loss_passes_every_check(name):
    seen = found(SOUND[name])
    assert list(seen) == list(checks.TITLES)
    assert {key: check.sentence for key, check in seen.items() if check.state == "bad"} == {}
    assert headline(tuple(seen.values())).startswith("Accepted: it passed 10 checks")
    assert all(len(check.title.split()) <= 9 for check in seen.values())


# Body of a function of scores s -> which check names the fault, and what it says.
FAULTS = {
    "raises": (f"return {INFO_NCE} + nothing", "runs", "It raised NameError in line 3 for 24 pairs"),
    "made for one size": ("return (s - torch.eye(24)).square().mean()", "runs", "It raised RuntimeError in line 3"),
    "returns a matrix": ("return s", "returns", "the shape (24, 24) for 24 pairs; expected () or (24,)"),
    "returns a float": (f"return {INFO_NCE}.item()", "returns", "returned float, which is no tensor"),
    "in place": (f"scores -= torch.eye(len(s))\n    return {INFO_NCE}", "pure", "It changes scores in place"),
    "draws": (f"return {INFO_NCE} + torch.rand(())", "pure", "It draws random numbers"),
    "not finite": ("return -(s.diagonal().log()).mean()", "finite", "It pays nan at random embeddings"),
    "no slope": ("return (1 - s.diagonal()).clamp(min=0).sqrt().mean() - s.mean() * 0", "finite",
                 "Its gradient is not finite at the perfect embedding"),
    "never reached": ("return s.sum() * 0", "start", "Nobody moves at random embeddings"),
    "no gradient": (f"return {INFO_NCE}.detach()", "differentiable", "No gradient reaches scores; expected one"),
    "order": ("return -(s.diagonal() * torch.arange(len(s))).mean()", "order", "The same pairs in another order pay"),
    "sign": (f"return -{INFO_NCE}", "start", "It pushes positives apart"),
    "all alike": ("return -s.mean()", "start", "It pulls strangers as it pulls partners"),
    "remembers": (f"seen.append(1)\n    return {INFO_NCE} * len(seen)\nseen = []", "pure", "The same batch pays"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_by_its_check(name):
    body, key, said = FAULTS[name]
    seen = of(body)
    assert seen[key].state == "bad"
    assert said in seen[key].sentence
    assert "expected" in seen[key].sentence
    assert [other for other, check in seen.items() if check.state == "bad"] == [key]
    assert headline(tuple(seen.values())).startswith("Refused: 1 of ")


@pytest.mark.parametrize(("side", "body"), [("a", "s = a.detach() @ b.T"), ("b", "s = a @ b.detach().T")])
def test_a_side_that_no_gradient_reaches_is_named(side, body):
    seen = of(f"{body}\n    return {INFO_NCE}", "a, b")
    assert seen["differentiable"].state == "bad"
    assert f"No gradient reaches {side}, so that side is never moved" in seen["differentiable"].sentence


def test_a_part_that_is_detached_is_a_remark_with_both_slopes():
    body = "w = s.detach().softmax(1)\n    return ((w * s).sum(1) - s.diagonal()).mean()"
    check = of(body)["differentiable"]
    assert check.state == "watch"
    by_value, by_gradient = (float(x) for x in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", check.sentence)[:2])
    assert by_value != pytest.approx(by_gradient, rel=0.01)


@pytest.mark.parametrize("name", FAULTY)
def test_every_faulty_example_is_refused(name):
    assert not accepted(checked(read(FAULTY[name]), QUICK))


def test_remarks_name_what_a_loss_does_not_do():
    alone = of("return (1 - s.diagonal()).mean()")
    assert alone["collapse"].state == "watch"
    assert "would not leave a collapse" in alone["collapse"].sentence
    overshoots = of("return (s.diagonal() - 0.5).square().mean() + s.square().mean()")
    assert overshoots["perfect"].state == "watch"
    assert "pushes pairs apart that lie together" in overshoots["perfect"].sentence
    assert accepted(tuple(alone.values()))
    assert accepted(tuple(overshoots.values()))


def test_the_numbers_that_are_said_are_those_of_the_loss():
    a, b = (x.clone().requires_grad_() for x in checks.unrelated())
    total = LOSSES["info_nce"].call(a, b, LOSSES["info_nce"].params()).total()
    change = checks.motion(a, b, total)
    near = float(change.diagonal().mean())
    far = float((change.sum() - change.diagonal().sum()) / (change.numel() - len(change)))
    assert f"positives change by {near:+.2g}, of negatives by {far:+.2g}" in found(SOUND["InfoNCE"])["start"].sentence
    assert f"{checks.N} unrelated pairs pay {float(total.detach()):.3g}" in found(SOUND["InfoNCE"])["returns"].sentence


# Registered losses of pairs for which these checks would have a remark, and none is refused by them.
def test_no_registered_loss_of_pairs_would_be_refused_for_what_it_does():
    refused = {}
    for entry in LOSSES:
        if entry.needed != ["a", "b"]:
            continue

        def seen(place, entry=entry) -> checks.Seen:
            a, b = (x.clone().requires_grad_() for x in place)
            paid = entry.pay({"a": a, "b": b}, entry.params(), stream(0, "checks")).total()
            slopes = torch.autograd.grad(paid, [a, b], allow_unused=True)
            g, h = (torch.zeros_like(x) if s is None else s for x, s in zip((a, b), slopes, strict=True))
            return checks.Seen(Answer(paid.detach(), {}, (), False), a.detach(), b.detach(), g, h)

        start = seen(checks.unrelated())
        scale = max(map(abs, start.moves))
        asked = (
            checks._start(start),
            checks._perfect(seen(checks.close()), scale),
            checks._collapse(seen(checks.collapsed(checks.NEARLY)), scale),
        )
        refused |= {(entry.key, check.key): check.sentence for check in asked if check.state == "bad"}
    assert refused == {}
