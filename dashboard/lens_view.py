"""The lens of Margins: the margin really applied, as the paper says and as released, and who pays for whom."""

import numpy as np
import streamlit as st
import torch

from core.diagnostics import verdicts
from core.diagnostics.released_margin import (
    EPOCH,
    FALL_PER_CALL,
    GONE,
    Course,
    broadcast_hinge,
    margin_course,
    margin_left,
    users,
    without_gradient,
)
from core.streams import stream
from dashboard import words
from dashboard.charts.grid import Cells, grid
from dashboard.charts.lens import FLOOR
from dashboard.charts.lens import course as course_chart
from dashboard.panel import show
from dashboard.view import Lens

CALLS, USERS = 800, 8
FORMS = {"min": "Min", "sum": "Sum"}
APPLIED = {"paper": "paper", "released": "as released"}


@st.cache_resource(max_entries=100, show_spinner=False)
def course(x: Lens) -> Course:
    """The margins that the lens shows."""
    return margin_course(x.applied, x.form, x.margin, CALLS, x.draw)


def which_margin_applied(x: Lens) -> None:
    """The margin call by call, down to the last number above 0."""
    found = course(x)
    below, zero = found.first_below(GONE), found.first_zero()
    law = "U(½, 1)" if x.applied == "paper" else {"min": "U(0, ½)", "sum": "U(0, 1)"}[x.form]
    if x.applied == "paper":
        sentence = (
            f"λ is drawn anew from {law}: after {CALLS} calls {words.mixed('the margin')} still lies between "
            f"{words.number(min(found.margin))} and {words.number(max(found.margin))}."
        )
    else:
        sentence = (
            f"Every call multiplies {words.mixed('the margin')} by a λ from {law}, for good: from "
            f"{words.number(x.margin)} it falls below 1e−9 at call **{below}**"
        )
        sentence += f" and is **exactly 0** from call **{zero}** on." if zero else f"; after {CALLS} it is not yet 0."
        sentence += f" Epoch 0, whose weight is 0, takes {EPOCH} calls."
    fall = FALL_PER_CALL[x.form]
    why = (
        "The margin that the mixed loss is asked for in each call, on an axis where each line is fifty powers of ten.",
        "The released recommender losses write `margin *= λ`, so the margin remembers every λ. On average that is a "
        f"factor of {words.number(float(np.exp(fall)))} a call. The mixed loss only begins to count in epoch 1, and by "
        "then there is no margin left: what was trained was mixing without a margin. Drawn with Python's own "
        f"generator from seed {x.draw}, as the released code draws.",
        r"m_t=m\prod_{k\leq t}\lambda_k,\quad "
        rf"E[\log\lambda]={words.number(fall)}" if x.applied == "released" else r"m_t=\lambda_t\,m",
    )  # fmt: skip
    chart = course_chart(
        found.margin,
        full=x.margin,
        epoch=EPOCH,
        below=below if x.applied == "released" else None,
        level=GONE,
        zero=zero,
        x_title="call of the mixed loss",
        floor=FLOOR,
    )
    show("lens", "Is the margin still there?", sentence, chart, why=why, verdict=margin_left(found, x.applied))


@st.cache_resource(max_entries=100, show_spinner=False)
def hinges(separation: float, asked: float, seed: int) -> np.ndarray:
    """(N, N) what every user's item costs against every user's nearest negative."""
    return broadcast_hinge(users(USERS, separation, stream(seed, "users")), asked).numpy()


def who_pays(x: Lens, seed: int, *, released: bool) -> None:
    """The table of hinges: all of it as released, its diagonal where each user pays for itself."""
    hinge = hinges(x.separation, x.asked, seed)
    own = np.eye(USERS, dtype=bool)
    counted = np.ones_like(own) if released else own
    mean, other = float(hinge[counted].mean()), float(hinge[own if released else np.ones_like(own)].mean())
    silent = round(USERS * without_gradient(torch.from_numpy(hinge), released))
    if released:
        sentence = (
            f"{words.negatives('Every user pays', 'bar')} against all negatives: {USERS * USERS} hinges, mean "
            f"**{words.number(mean, 3)}**."
        )
    else:
        sentence = (
            f"{words.negatives('Each user pays', 'bar')} for itself alone: {USERS} hinges, mean "
            f"**{words.number(mean, 3)}**."
        )
    sentence += (
        " Nothing is clipped, so both say the same."
        if bool((hinge > 0).all())
        else f" {'Everyone learns' if silent == 0 else f'{silent} of {USERS} learn nothing'}."
    )
    largest = max(float(hinge.max()), 1e-9)
    cells = [Cells.of("negatives", hinge / largest, counted)]
    texts = [
        (float(j), float(i), words.number(float(hinge[i, j])))
        for i, j in zip(*np.nonzero(counted & (hinge >= 0.005)), strict=True)
    ]
    why = (
        "Row a, column b: the distance of user a to its item, against that of user b to its nearest negative.",
        "The released Min loss subtracts numbers of shape (N, 1) from numbers of shape (N, 1, 1), and torch spreads "
        "them to a table of every user with every other. Its mean is the same while no hinge is clipped, as with the "
        "margins of 1.5 and 2 of the scripts. Once hinges clip, users who are done still get a gradient.",
        (r"\frac1{N^2}\sum_{a,b}" if released else r"\frac1N\sum_{a=b}")
        + rf"[m+d(u_a,p_a)-\min_k d(u_b,n_{{bk}})]_+={words.number(mean, 3)}\quad(\text{{else }}"
        + rf"{words.number(other, 3)})",
    )
    chart = grid(
        cells, USERS, USERS, row_title="user a: its item", column_title="user b: nearest negative", texts=texts,
        darkest=0.46, alt=f"{int((counted & (hinge > 0)).sum())} of {int(counted.sum())} hinges paid, mean {mean:.3f}.",
    )  # fmt: skip
    title = "As released: who pays for whom?" if released else "Repaired: who pays for whom?"
    show(
        f"users_{'released' if released else 'own'}",
        title,
        sentence,
        chart,
        why=why,
        verdict=verdicts.awake(silent, USERS),
    )
