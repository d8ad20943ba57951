"""The panels of Gradients, each with a sentence made of the numbers that it draws."""

from collections.abc import Callable

import streamlit as st

from core.diagnostics import verdicts
from core.diagnostics.synthetic import Strength, invented
from core.losses.registry import LOSSES
from core.params import Params
from dashboard import words
from dashboard.charts.gradient import pull_push, strength
from dashboard.charts.heat import heat
from dashboard.charts.push import push, rank_labels
from dashboard.gradient_view import Curve, Look, Source, block, brief, letter, numbered
from dashboard.panel import panel, show

LEVELS = ("hard", "semi-hard", "easy")


def formula(p: Params, seen: Look, found: Source, anchor: int) -> None:
    """The formula, with the live numbers in it, and what the batch pays."""
    entry = LOSSES.of(p)
    sentence = f"These {seen.n} pairs pay **{brief(seen.total)}**; with all points in one place {brief(seen.chance)}."
    if seen.paid is not None:
        a, b = found.batch.a[anchor], found.batch.b
        sentence += (
            f" Anchor {found.called(anchor)} has its {words.positives('positive', 'dot')} at "
            f"{words.number(float(a @ b[anchor]))} and pays "
            f"{brief(float(seen.paid[anchor]))}."
        )
    if others := invented(p):
        sentence += f" It also needs {', '.join(others)}: random numbers here."
    why = (entry.summary, f"{entry.title}. Source: {entry.source}.", "")
    with panel("formula", "What does this batch pay?", sentence, why=why):
        symbols, live = entry.formula, numbered(entry.formula, p)
        st.latex(symbols if live == symbols else rf"\begin{{aligned}}&{symbols}\\=\;&{live}\end{{aligned}}")


def microscope(seen: Look, found: Source) -> None:
    """Every pair of the first anchors: who is pulled and who is pushed."""
    rows, columns, names, across = block(seen)
    shown = seen.pull[rows][:, columns]
    i, j = divmod(int(shown.argmin()), len(columns))
    sentence = "All pairs" if shown.size == seen.pull.size else f"The first {len(names)} of {len(seen.pull)} anchors"
    if shown.any():
        sentence += f": the strongest {words.positives('pull', 'bar')} is {brief(max(float(shown.max()), 0))}"
    else:
        sentence += f": nobody is {words.positives('pulled', 'bar')}"
    if shown[i, j] < 0:
        one, other = (found.called(rows[i] % seen.n), found.called(columns[j] % seen.n))
        sentence += f", the strongest {words.negatives('push', 'bar')} {brief(-float(shown[i, j]))}, "
        sentence += f"between {one} and {other}."
    else:
        sentence += f", and nobody is {words.negatives('pushed', 'bar')}."
    if seen.active is not None:
        sentence += f" Of all negatives {words.share(seen.active)} are pushed."
    what = r"-\frac{\partial L}{\partial s_{ij}}" if seen.is_force else r"-\left(g_i\cdot z_j+z_i\cdot g_j\right)"
    why = (
        "Rows are anchors, columns are candidates; blue is pulled together, orange pushed apart, empty is left alone.",
        ("The force on a pair is minus the derivative of what the whole batch pays by the score of that pair. "
        if seen.is_force
        else "This loss shows no scores, so this is the motion: how each similarity changes in a small step. ")
        + "A′ is the second view of A. An anchor is silent where its whole gradient is exactly 0.",
        what,
    )  # fmt: skip
    chart = heat(shown, rows=names, columns=across)
    verdict = verdicts.awake(seen.silent, seen.anchors)
    show("microscope", "Which pairs move?", sentence, chart, why=why, verdict=verdict)


def curves(line: Curve, found: Source, anchor: int) -> None:
    """Pull and push while one negative moves."""
    there = int(abs(line.similarity - line.at).argmin())
    pull = float(line.pull[there])
    sentence = (
        f"{found.called(line.other)}, the hardest negative of {found.called(anchor)}, stands at "
        f"{words.number(line.at)}: it is {words.negatives('pushed')} with {brief(float(line.push[there]))}, the "
        f"positive {words.positives('pulled' if pull >= 0 else 'pushed too')} with {brief(abs(pull))}."
    )
    why = (
        f"What happens to {letter(anchor)}’s positive and to this negative while the negative moves from far to near.",
        "The negative's whole pair is turned, so that it stays as close as it was; everything else stands still. A "
        "hinge is exactly 0 until the negative comes within the margin; a softmax never is.",
        r"\text{pull}=-\frac{\partial L}{\partial s_{ii}},\quad\text{push}=\frac{\partial L}{\partial s_{ij}}",
    )
    chart = pull_push(line.similarity, line.pull, line.push, line.at, line.positive_at)
    show("curves", "How strong are pull and push?", sentence, chart, why=why)


def by_rank(seen: Look) -> None:
    """Share of the push by rank."""
    assert seen.rank is not None
    rank = seen.rank
    if rank.silent:
        sentence = f"No {words.negatives('negative', 'bar')} is pushed: every one is far enough away."
    else:
        sentence = (
            f"The hardest 5% of the {words.negatives('negatives', 'bar')} take {words.share(sum(rank.share[:2]))} of "
            "the push. Tick: an equal share."
        )
    why = (
        "Non-pairs in order of their similarity, the most alike first, and what share of the push they take.",
        "Some losses spend their push on a few hard pairs, others on all alike. The shares add up to 100%.",
        r"\frac{\sum_{(i,j)\in\text{group}}[\partial L/\partial s_{ij}]_+}"
        r"{\sum_{i\neq j}[\partial L/\partial s_{ij}]_+}",
    )
    chart = push(rank_labels(rank.bounds), rank.equal, rank.share)
    verdict = verdicts.push(sum(rank.share[:3]), rank.silent)
    show("rank", "Who gets the push?", sentence, chart, why=why, verdict=verdict)


def by_hardness(seen: Look) -> None:
    """Share of the push by hardness."""
    assert seen.hard is not None
    hard = seen.hard
    pushed, pairs = (hard.hard, hard.semi_hard, hard.easy), (hard.hard_pairs, hard.semi_hard_pairs, hard.easy_pairs)
    told = f"they take {words.share(hard.hard)} of the push, easy ones {words.share(hard.easy)}."
    sentence = (
        f"{words.share(hard.hard_pairs)} of the {words.negatives('negatives', 'bar')} are nearer than the positive "
        f"(hard); {'nobody is pushed.' if hard.silent else told}"
    )
    why = (
        "A hard negative is nearer than the positive, a semi-hard one less than a margin behind it, an easy one "
        "further away.",
        f"The width of semi-hard is {words.number(seen.width)} here: the loss's margin, or 0.20 where it has none. "
        "Where the loss is paid in both directions, the harder of both counts.",
        rf"s^+-{words.number(seen.width)}<s^-\le s^+\quad\text{{(semi-hard)}}",
    )
    show("hardness", "Hard, semi-hard or easy?", sentence, push(LEVELS, pairs, pushed), why=why)


def woken(found: Strength) -> None:
    """The gradient against the lead, clean beside mixed."""
    gap, clean, mixed = (x.numpy() for x in (found.gap, found.clean, found.mixed))
    sentence = (
        f"The easiest {words.share(1 / len(gap))} lead by {words.number(float(gap[-1]))}: their gradient is "
        f"**{brief(float(clean[-1]))}** clean and {words.mixed(brief(float(mixed[-1])))} mixed."
    )
    why = (
        "How strong the gradient of an anchor is, from the hardest pairs on the left to the easiest on the right.",
        "Mixed anchors share two names, so even pairs that lie apart are asked again. Mixed as embeddings; the mixed "
        "loss counts before its weight, averaged over 40 draws of λ.",
        r"\lVert\partial L/\partial z_i\rVert\ \text{against}\ s_{ii}-\max_{j\neq i}s_{ij}",
    )
    show("strength", "Does mixing wake easy pairs?", sentence, strength(gap, clean, mixed), why=why, height=210)


def not_mixing(switch_on: Callable[[], None]) -> None:
    """The empty state of `woken`: what to do, with the button that does it."""
    sentence = f"Your recipe mixes nothing. With DMM this shows what {words.mixed()} get beside the clean ones."
    why = (
        "Mixing makes new, harder pairs out of two.",
        "A pair that lies apart gets no gradient from a hinge and hardly any from a softmax. Margins shows how mixing "
        "brings it back.",
        "",
    )
    with panel("strength", "Does mixing wake easy pairs?", sentence, why=why):
        st.button("Switch DMM on", icon=":material/join:", key="mix", on_click=switch_on)
