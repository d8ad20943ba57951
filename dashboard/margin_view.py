"""The upper panels of Margins: the scene with its really mixed picture, and the leads."""

import gzip
import json
from functools import lru_cache

import numpy as np
import streamlit as st
import torch

from core.addresses import spell
from core.diagnostics import verdicts
from core.diagnostics.scene import SITUATIONS, Situation, Stand, leads, mixtures, pull_region, pulled_share, stand
from core.environment import ROOT
from core.mixing.dmm import DMM
from dashboard import words
from dashboard.charts.leads import Bullet, bullets, lead_over_lambda
from dashboard.charts.margins import Spot, Zone, scene
from dashboard.link import change, view
from dashboard.panel import show
from dashboard.thumbnails import EMOJI, emoji_urls, urls
from dashboard.view import Scene

ANCHOR, PARTNER = "turtle", "strawberry"
PERCENT = 100
ASKED: dict[str, str] = {
    "lam": "λm",
    "constant": "m",
    "one_minus_lam": "(1−λ)m",
    "two_lam_minus_one": "(2λ−1)m",
    "zero": "0",
    "learned": "mσ(a+b(2λ−1))",
    "released_decay": "m∏λ",
}
SITUATION_NAMES = {"apart": "pairs apart", "together": "not yet together", "twins": "twins nearby"}
TEX = {"λ": r"\lambda ", "−": "-", "∏": r"\prod", "σ": r"\sigma "}


def asked_tex(rule: str) -> str:
    """The margin of a rule as a formula."""
    return "".join(TEX.get(letter, letter) for letter in ASKED[rule])


@lru_cache(maxsize=1)
def _rows() -> list[int]:
    with gzip.open(ROOT / "assets" / "data" / "emoji_text.json.gz", "rt", encoding="utf-8") as file:
        names = [each["en"] for each in json.load(file)]
    return [names.index(ANCHOR), names.index(PARTNER)]


def blends() -> np.ndarray:
    """(101, 32, 32, 4) uint8: both pictures mixed as inputs are, at every per cent of lambda.

    The colours are mixed in proportion to how opaque they are, which on white is the very picture that an encoder sees.
    """
    with np.load(EMOJI, allow_pickle=False) as arrays:
        two = torch.from_numpy(arrays["noto"][_rows()]).double() / 255
    opaque = torch.cat([two[..., :3] * two[..., 3:], two[..., 3:]], dim=-1)
    mixed = mixtures(opaque, torch.linspace(0, 1, PERCENT + 1, dtype=torch.float64), "input")
    colours = mixed[..., :3] / mixed[..., 3:].clamp(min=1e-9)
    return torch.cat([colours, mixed[..., 3:]], dim=-1).mul(255).round().clamp(0, 255).byte().numpy()


def pictures(lam: float) -> tuple[str, str, str]:
    """Addresses of the anchor, its partner and their mixture."""
    anchor, partner = emoji_urls(_rows())
    return anchor, partner, urls(f"{ANCHOR}_{PARTNER}", [round(PERCENT * lam)], blends)[0]


def placed(s: Scene) -> Situation:
    """Where pictures and names stand."""
    return Situation(s.own, s.gap)


def situations() -> None:
    """Three ready-made situations; one is marked while the sliders stand there."""
    here = placed(view().scene)
    st.session_state["situation"] = next((name for name, each in SITUATIONS.items() if each == here), None)

    def go() -> None:
        chosen = SITUATIONS.get(st.session_state["situation"] or "", here)
        change("scene.gap", spell(chosen.partner))
        change("scene.own", spell(chosen.own))

    st.segmented_control(
        "Situation",
        list(SITUATION_NAMES),
        format_func=SITUATION_NAMES.__getitem__,
        key="situation",
        help="Where the pictures and their names stand; the sliders move them on.",
        on_change=go,
    )


@st.cache_resource(max_entries=200, show_spinner=False)
def standing(s: Scene) -> Stand:
    """The scene that the knobs describe."""
    return stand(placed(s), s.lam, s.margin, s.rule)


def gaps_now(s: Scene) -> tuple[float, float]:
    """Clean leads of the anchor's pair and of its partner's, over the other one's name."""
    at = standing(s).angles

    def alike(one: str, other: str) -> float:
        return float(np.cos(np.radians(at[one] - at[other])))

    return standing(s).clean.lead, alike("partner", "other") - alike("partner", "own")


def to_the_lab() -> None:
    """Take the scene's lambda, margin and rule to the lab of Gradients."""
    now = view().scene
    change("pairs.part", "lab")
    for name in ("lam", "margin", "rule"):
        change(f"lab.{name}", spell(getattr(now, name)))


def who_pulls(s: Scene) -> None:
    """The scene on the circle."""
    now = standing(s)
    anchor, partner, blend = pictures(s.lam)
    if now.mixed.paid > 0:
        sentence = (
            f"{words.mixed('The mixed picture x̃')} has {words.negatives('the partner’s name', 'dot')} inside its "
            f"margin: that is pushed away, and {words.positives('the own name', 'bar')} is pulled to x̃."
        )
    else:
        sentence = f"{words.mixed('The mixed picture x̃')} leads by enough: nobody is pulled and nobody is pushed."
    sentence += " The clean pair asks too." if now.clean.paid > 0 else " The clean pair has fallen silent."
    why = (
        "Names in the violet band are too close to the mixed picture, names in the grey one too close to the anchor.",
        "Each arrow is the step that the ranking loss of this one mixed pair makes each point take along the circle, "
        "by automatic differentiation through the mixing; the longer, the stronger the gradient. Where the partner "
        "moves towards x̃ it leaves its own name behind: that is the *little far* of the paper's abstract.",
        rf"[\,{words.number(now.mixed.asked)}+s(\tilde x,y')-s(\tilde x,y)\,]_+={words.number(now.mixed.paid)}",
    )
    at = now.angles
    chart = scene(
        anchor=Spot(at["anchor"], "anchor", anchor),
        partner=Spot(at["partner"], "partner", partner),
        mixed=Spot(at["mixed"], "mixed", blend),
        own=Spot(at["own"], f"“{ANCHOR}”"),
        other=Spot(at["other"], f"“{PARTNER}”"),
        asked_mixed=Zone(at["mixed"], now.mixed.near),
        asked_clean=Zone(at["anchor"], now.clean.near),
        moves=now.turns,  # ty: ignore[invalid-argument-type]
    )
    verdict = verdicts.dead_margin((), 0, float(now.mixed.paid > 0), now.mixed.asked)
    show("scene", "Who pulls whom?", sentence, chart, why=why, verdict=verdict)


def large_enough(s: Scene) -> None:
    """Lead beside the margin asked, for the clean and for the mixed pair."""
    now = standing(s)
    sentence = (
        f"The clean pair leads by {words.number(now.clean.lead)} and must by {words.number(now.clean.asked)}. "
        f"The {words.mixed('mixed pair')} leads by {words.number(now.mixed.lead)} and must by "
        f"{words.number(now.mixed.asked)} :orange[**┃ asked**]."
    )
    why = (
        "How much more alike a picture is to its own name than to the partner's, beside the lead that is asked.",
        "Mixing makes the lead small, since the picture now belongs to both names; the margin is made small with it. "
        "A pair that leads by more than its margin gets no gradient at all.",
        rf"s(\tilde x,y)-s(\tilde x,y')={words.number(now.mixed.lead)},\quad "
        rf"\mu(\lambda)={words.number(now.mixed.asked)}",
    )
    rows = [
        Bullet("clean pair", now.clean.lead, now.clean.asked),
        Bullet("mixed pair", now.mixed.lead, now.mixed.asked, "mixed"),
    ]
    show("leads", "Is the lead large enough?", sentence, bullets(rows), why=why)


@st.cache_resource(max_entries=200, show_spinner=False)
def _over_lambda(s: Scene, law: DMM) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, float] | None, float]:
    low = min(0.5, {"uniform": law.low, "fixed": law.fixed, "beta": 0.5, "beta_unfolded": 0}[law.law])
    lam = torch.linspace(low, 1, 101, dtype=torch.float64)
    lead, asked = leads(placed(s), lam, s.margin, s.rule)
    region = pull_region(placed(s), s.margin, s.rule, low)
    return lam.numpy(), lead.numpy(), asked.numpy(), region, pulled_share(placed(s), s.margin, s.rule, law)


def law_words(p: DMM) -> str:
    low, high = ("½" if end == 0.5 else words.tick(end) for end in (p.low, p.high))
    uniform = f"U({low},\u00a0{high})"
    unfolded = f"Beta({words.tick(p.concentration)},\u00a0{words.tick(p.concentration)})"
    beta = f"{unfolded} folded"
    return {"uniform": uniform, "beta": beta, "beta_unfolded": unfolded, "fixed": f"λ = {words.tick(p.fixed)}"}[p.law]


def which_lambda(s: Scene, law: DMM) -> None:
    """The lead over lambda, with the region of pull and its share of the law."""
    lam, lead, asked, region, share = _over_lambda(s, law)
    if region is None:
        where = "At no λ"
    elif region[0] > lam[0]:
        where = f"Between λ = {words.number(region[0])} and {words.number(region[1])}"
    elif region[1] < 1:
        where = f"Below λ = {words.number(region[1])}"
    else:
        where = "At every λ"
    sentence = f"{where} the partner’s name is pushed (shaded): in {words.share(share)} of draws from {law_words(law)}."
    why = (
        "Where the lead of the mixed pair lies below the lead asked, there is a pull.",
        "Near λ = ½ the mixed picture is as much the partner's as its own, and no pair can lead by enough there. So a "
        "share of the steps always pulls, however well the clean pairs are sorted. The share is counted over 65,536 "
        "draws from the law.",
        rf"s(\tilde x_\lambda,y)-s(\tilde x_\lambda,y')<\mu(\lambda)\quad\text{{in {words.number(100 * share, 1)}\%}}",
    )
    verdict = verdicts.Verdict(f"{words.share(share)} of draws", "info", sentence)
    chart = lead_over_lambda(lam, lead, asked, s.lam)
    show("lambda", "For which λ is there a pull?", sentence, chart, why=why, verdict=verdict)
