"""CoST: a series is found by its frequencies, by how strong each is and by where it stands in its period."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.banks import exactly
from core.losses.fields import temperature, weight
from core.losses.registry import Claims, loss
from core.losses.ts_forecast import within_groups
from core.paid import Paid, Term
from core.params import Params

FAINT = 1e-3  # a coefficient below that has no phase: its direction is a matter of rounding
ROUNDED = 1e-5  # an imaginary part below that is rounding: its sign would turn π into -π


class CoST(Params):
    kind: Literal["cost"] = "cost"
    temperature: float = temperature(1.0)
    alpha: float = weight(5e-4, "Frequencies α", "both parts together, as it stands beside the contrast of the trend")


@loss(
    CoST,
    title="CoST (series by their frequencies)",
    source="Woo et al. 2022, arXiv:2202.01575, the seasonal part of the released code; Zhang et al. 2023, "
    "arXiv:2306.12086",
    origin="code",
    papers=("ts_forecast",),
    family="softmax",
    formula=r"\begin{aligned}&\frac\alpha2\,\mathrm{mean}_f\big[\ell(|\hat z_{if}|,|\hat z'_{if}|)+"
    r"\ell(\arg\hat z_{if},\arg\hat z'_{if})\big],\\"
    r"&\hat z_i=\mathrm{rfft}_t\,\frac{z_{it}}{\|z_{it}\|},\quad\ell=\text{NT-Xent at }\tau\end{aligned}",
    relations={
        "ts_moco": "of frequencies in place of the trend, beside which it stands",
        "nt_xent": "at every frequency, of amplitudes and of phases",
    },
    claims=Claims(
        pulls="scores exist at every frequency, none are shown",
        pushes="scores exist at every frequency, none are shown",
        margin="it takes no margin of its own",
    ),
    variants=({}, {"temperature": 0.5, "alpha": 1.0}),
)
def cost(sequence: Tensor, other_sequence: Tensor, p: CoST) -> Paid:
    """Finds each series among all by the amplitudes of its frequencies, and by their phases.

    A coefficient of less than 0.001, of unit steps, has phase 0 and no gradient there, and an imaginary part below
    0.00001 counts as 0; the released code adds 1e-6 to the parts of every coefficient instead.

    Args:
        sequence: (B, T, D) seasonal features of each step, of any length: each step is made a unit vector.
        other_sequence: (B, T, D) those of the other view.
        p: temperature, and the weight of both parts.

    Returns:
        `amplitude` and `phase`, (2B,) each, at weight α/2: first all of `sequence`, then the other view.
    """
    z = F.normalize(torch.stack([exactly(sequence), exactly(other_sequence)]), dim=-1)
    found = torch.fft.rfft(z, dim=2).permute(2, 0, 1, 3)
    terms = {}
    for name, x in (("amplitude", found.abs()), ("phase", _phase(found))):
        paid = within_groups(x, p.temperature).mean(dim=0).flatten()
        terms[name] = Term(paid).scaled(p.alpha / 2)
    return Paid(terms)


def _phase(coefficients: Tensor) -> Tensor:
    """Angles of complex numbers, above -π up to π; 0 or π of those that are real, as at frequency 0."""
    faint = coefficients.detach().abs() < FAINT
    level = faint | (coefficients.imag.detach().abs() < ROUNDED)
    return torch.atan2(coefficients.imag.masked_fill(level, 0), coefficients.real.masked_fill(faint, 1))
