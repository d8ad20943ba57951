"""The panels of Losses, each with a sentence made of the numbers that it draws."""

from typing import Any

import numpy as np

from core.diagnostics import verdicts
from core.diagnostics.loss_lens import Sample
from core.losses.registry import LOSSES
from core.params import Params
from dashboard import words
from dashboard.charts.anchors import anchors
from dashboard.charts.curve import curve
from dashboard.charts.gradient import pull_push
from dashboard.charts.microscope import HEIGHT, MOST
from dashboard.charts.microscope import microscope as dots_chart
from dashboard.charts.push import push, rank_labels
from dashboard.charts.surface import surface as surface_chart
from dashboard.gradient_view import brief
from dashboard.loss_view import Dots, Look, along, marks, road, surface
from dashboard.panel import heading, lean

NEGATIVES = ("negative", "hard", "semi-hard", "easy", "partner", "synthetic")
FORCE, MOTION = r"\left|\frac{\partial L}{\partial s_{ij}}\right|", r"\left|g_i\cdot z_j+z_i\cdot g_j\right|"
NO_ROWS = {
    "bags": "it looks at members of bags, and no single negative of an item could be moved",
    "sequence": "it looks at the steps of sequences, and no single negative of an item could be moved",
    "maps": "it looks at places of feature maps, and no single negative of an item could be moved",
}


def no_path(title: str, p: Params) -> None:
    """Why there is no anchor with one positive and one negative to be moved."""
    needed = LOSSES.of(p).needed
    reason = next((NO_ROWS[name] for name in needed if name in NO_ROWS), "")
    reason = (
        reason
        or f"in what it is handed ({', '.join(needed)}) no item has a positive and a negative that could be moved"
    )
    why = ("One negative is moved from far to near, everything else stands still.", "", "")
    heading(title, f"This does not apply here: {reason}. The pairs that it moves are in the microscope.", why=why)


def curves(p: Any, s: Sample, anchor: int) -> None:
    """Pull and push while the hardest negative moves."""
    title, found, line = "How strong are pull and push?", road(p, s, anchor), along(p, s, anchor)
    if found is None or line is None:
        no_path(title, p)
        return
    at = line.similarity.numpy()
    pull, pushed = found.pull_and_push(found.given)
    near = (
        f"not {words.positives('pulled')}"
        if not pull
        else f"{words.positives('pulled' if pull >= 0 else 'pushed too')} with {brief(abs(pull))}"
    )
    far = (
        f"not {words.negatives('pushed')}"
        if not pushed
        else f"{words.negatives('pushed' if pushed >= 0 else 'pulled too')} with {brief(abs(pushed))}"
    )
    sentence = (
        f"With the positive at {words.number(found.positive_at)} and the hardest negative at {words.number(found.at)}, "
        f"the positive is {near} and that negative is {far}."
    )
    unit = found.kind
    sentence += "" if unit == "force" else " Its own scores are not of these two, so the motion is drawn."
    why = (
        "What happens to one anchor’s positive and to its hardest negative while that negative moves from far to near.",
        "The whole item of the negative is turned, or its row alone where it is one of a bank; everything else stands "
        "still. A hinge is exactly 0 until the "
        "negative comes within the margin; a softmax never is. "
        + ("" if unit == "force" else "This loss does not show these scores, so the motion is drawn: how fast the two "
           "cosines change in a small step."),
        r"\text{pull}=-\frac{\partial L}{\partial s^+},\quad\text{push}=\frac{\partial L}{\partial s^-}"
        if unit == "force"
        else r"\text{pull}=\Delta s^+,\quad\text{push}=-\Delta s^-",
    )  # fmt: skip
    chart = pull_push(at, line.pull.numpy(), line.push.numpy(), found.at, found.positive_at)
    lean("curves", title, sentence, chart, why=why, height=HEIGHT)


def _told(seen: Dots) -> str:
    """The groups of the microscope with their counts, as the legend of its marks."""
    marks = {
        "positive": lambda n: words.positives(f"{n} positives", "dot"),
        "hard": lambda n: words.negatives(f"{n} hard", "bar"),
        "semi-hard": lambda n: words.negatives(f"{n} semi-hard", "dot"),
        "easy": lambda n: f":orange[**▪ {n} easy**] negatives",
        "negative": lambda n: words.negatives(f"{n} negatives", "dot"),
        "partner": lambda n: words.mixed(f"{n} partners"),
        "synthetic": lambda n: words.mixed(f"{n} made-up"),
        "excluded": lambda n: f"✕ {n} left out",
        "pair": lambda n: f"● {n} with no role",
    }
    counts = {name: seen.counts[name] for name in marks}
    drawn = sum(min(n, MOST) for n in counts.values())
    some = f"; {words.count(drawn)} of them are drawn" if drawn < sum(counts.values()) else ""
    return ", ".join(marks[name](words.count(n)) for name, n in counts.items() if n) + some


def microscope(p: Params, seen: Look, weight: str) -> None:
    """Every pair a dot: its score against how hard it is pulled or pushed."""
    by_motion = weight == "motion" and seen.moved is not None
    shown = seen.moved if by_motion and seen.moved is not None else seen.dots
    kind = "motion" if by_motion else seen.kind
    strength = np.abs(shown.push)
    sentence = _told(shown) + "."
    if strength.any():
        pulled, pushed = shown.of("positive") & (shown.push > 0), shown.of(*NEGATIVES) & (shown.push > 0)
        of_all = int(shown.of(*NEGATIVES).sum())
        sentence += f" The strongest moves with {brief(float(strength.max()))}"
        sentence += f"; {words.share(int(pushed.sum()) / of_all)} of the negatives are pushed" if of_all else ""
        many = int(pulled.sum())
        sentence += f", {words.count(many)} positive{'s are' if many > 1 else ' is'} pushed too." if many else "."
    else:
        sentence += " Nobody moves: the force on every pair is exactly 0."
    if weight == "force" and kind == "motion":
        sentence += " This loss shows no scores, so the motion is drawn."
    what = {"force": "force", "motion": "motion", "slope": "slope"}[kind]
    why = (
        "Each dot is a pair: to the right it is more alike, higher up it is moved harder. Positives are pulled "
        "together, negatives pushed apart.",
        f"A hard negative scores above its anchor’s positive, a semi-hard one less than {words.number(seen.width)} "
        "below it, an easy one further below. Force is the slope of what is paid by a pair’s score; motion is how much "
        "a pair’s cosine changes in one small step of all embeddings. Choose which under More.",
        FORCE if kind != "motion" else MOTION,
    )
    x_title = "cosine" if kind == "motion" else "score" if kind == "force" else f"{LOSSES.of(p).needed[0]}"
    chart = dots_chart(shown.scores, strength, shown.group, x_title=x_title, y_title=what)
    verdict = None
    if shown.of(*NEGATIVES).any() and not (shown.of(*NEGATIVES) & (shown.push > 0)).any():
        verdict = verdicts.push(0, silent=True)
    lean("microscope", "Which pairs move?", sentence, chart, why=why, verdict=verdict)


def _no_negatives(title: str) -> None:
    why = ("How the push is shared among the negatives.", "", "")
    sentence = "This does not apply here: nothing that this loss is handed is known to be a negative."
    heading(title, sentence, why=why)


def by_rank(seen: Look) -> None:
    """Share of the push on the hardest negatives."""
    title, rank = "Who takes the push?", seen.rank
    if rank is None:
        _no_negatives(title)
        return
    one, five, twenty = rank.share[0], sum(rank.share[:2]), sum(rank.share[:3])
    sentence = f"No {words.negatives('negative', 'bar')} is pushed in this batch."
    if not rank.silent:
        sentence = (
            f"The hardest 1, 5 and 20% of the {words.negatives('negatives', 'bar')} take {words.share(one)}, "
            f"{words.share(five)} and {words.share(twenty)} of the push. Tick: an equal share."
        )
    why = (
        "Negatives in order of their score, the most alike first, and what share of the push they take.",
        "Some losses spend their push on a few hard pairs, others on all alike. The shares add up to 100%.",
        r"\frac{\sum_{(i,j)\in\text{group}}[\text{push}_{ij}]_+}{\sum_{(i,j)}[\text{push}_{ij}]_+}",
    )
    chart = push(rank_labels(rank.bounds), rank.equal, rank.share)
    lean("rank", title, sentence, chart, why=why, verdict=verdicts.push(twenty, rank.silent))


def effective(seen: Look) -> None:
    """How many negatives really share an anchor's push."""
    title, found = "How many negatives count?", seen.spread
    if found is None:
        _no_negatives(title)
        return
    active = found.active
    count, of = int(active.sum()), int(found.negatives.max())
    sentence = f"None of the {len(active)} anchors pushes a {words.negatives('negative', 'bar')}."
    if count:
        mean, entropy = float(found.effective[active].mean()), float(found.entropy[active].mean())
        equal, most = words.negatives("negatives", "bar"), words.number(float(np.log(of)))
        sentence = (
            f"An anchor’s push is spread as over **{words.number(mean, 1)}** equal {equal} of {of}: an entropy of "
            f"{words.number(entropy)} nats of at most {most}."
        )
        sentence += f" {len(active) - count} of {len(active)} anchors push none." if count < len(active) else ""
    why = (
        "For each anchor, how many negatives would share its push if they shared it equally.",
        "1: the hardest alone counts, as in a triplet. All: every negative counts alike. A lower temperature makes it "
        "fewer.",
        r"n_i=\exp\Big(-\sum_jq_{ij}\log q_{ij}\Big),\quad "
        r"q_{ij}=\frac{[\text{push}_{ij}]_+}{\sum_k[\text{push}_{ik}]_+}",
    )
    chart = anchors(found.effective.numpy(), up_name="effective negatives", level=float(of))
    lean("effective", title, sentence, chart, why=why)


def balance(seen: Look) -> None:
    """Weight times direction: pull beside push, anchor by anchor."""
    title, found = "Does the pull equal the push?", seen.spread
    if found is None:
        _no_negatives(title)
        return
    pull, pushed, n = float(found.pull.sum()), float(found.push.sum()), len(found.pull)
    sentence = (
        f"All {words.positives('pull', 'bar')} adds up to {brief(pull)}, all {words.negatives('push', 'bar')} to "
        f"{brief(pushed)}; in {found.balanced} of {n} anchors the two are equal."
    )
    if seen.through is not None:
        sentence += f" Weight x direction of these pairs makes up {words.share(seen.through)} of the gradient."
    why = (
        "Blue upwards: an anchor’s pull on its positives. Orange downwards: its push on its negatives.",
        "A pair’s gradient is a weight, its force, times a direction, the gradient of its score. Where adding the same "
        "to all scores of an anchor changes nothing, as in a softmax or a triplet, pull and push are equal. What the "
        "weights do not make up passes beside the scores, for example through a regulariser.",
        r"\frac{\partial L}{\partial z}=\sum_{(i,j)}\underbrace{\frac{\partial L}{\partial s_{ij}}}_{\text{weight}}"
        r"\;\underbrace{\frac{\partial s_{ij}}{\partial z}}_{\text{direction}}",
    )
    chart = anchors(found.pull.numpy(), found.push.numpy(), up_name="pull", down_name="push")
    lean("balance", title, sentence, chart, why=why)


def price(p: Any, s: Sample, anchor: int, what: str) -> None:
    """The surface over the positive and the hardest negative."""
    title = "What is cheap, what is dear?" if what == "loss" else "Where is the push strong?"
    found, seen = road(p, s, anchor), surface(p, s, anchor, what)
    if found is None or seen is None:
        no_path(title, p)
        return
    low, high = float(seen.value.min()), float(seen.value.max())
    noun = "what is paid" if what == "loss" else "push"
    sentence = (
        f"With the {words.positives('positive')} at {words.number(found.positive_at)} and the hardest "
        f"{words.negatives('negative')} at {words.number(found.at)}, {noun} is **{brief(seen.here)}**; over all places "
        f"it runs from {brief(low)} (pale) to {brief(high)} (dark)."
    )
    why = (
        "Across: how alike anchor and positive are. Up: how alike anchor and hardest negative are. Darker is more.",
        "Below the dotted diagonal the positive leads. Everything else in the batch stays where it is, so that other "
        "negatives can take over as the hardest. Under More the surface can show the push instead of the price.",
        r"\ell_i(s^+,s^-)" if what == "loss" else r"\frac{\partial L}{\partial s^-}(s^+,s^-)",
    )
    chart = surface_chart(
        seen.at.numpy(),
        seen.value.numpy(),
        positive_at=found.positive_at,
        negative_at=found.at,
        what=noun,
        kind="anchor" if what == "loss" else "negatives",
    )
    lean("surface", title, sentence, chart, why=why)


def scale_marks(p: Any, s: Sample) -> None:
    """What batches like this one pay as their positives come close, with the levels beside it."""
    title, found = "What do its numbers mean?", marks(p, s)
    if found is None:
        why = ("What the loss says when positives are far and when they are close.", "", "")
        needed = ", ".join(LOSSES.of(p).needed)
        heading(title, f"This does not apply here: {needed} are numbers, not embeddings that come close.", why=why)
        return
    now = float(np.interp(s.closeness, found.closeness.numpy(), found.paid.numpy()))
    sentence = (
        f"If every positive stood at {words.number(s.closeness)}, such a batch would pay **{brief(now)}**; with "
        f"unrelated positives {brief(found.unrelated)}"
    )
    sentence += f", all in one place (collapsed) {brief(found.collapse)}"
    sentence += f", evenly spaced and aligned {brief(found.floor)}." if found.floor is not None else "."
    why = (
        "What the loss says when positives are far (left) and close (right), and two levels to hold it against.",
        "Chance here is full collapse: every embedding the same. The floor is the loss of evenly spaced, perfectly "
        "aligned points, where such an arrangement is known; it is not proved to be the minimum. A training curve near "
        "the dotted chance level has learned nothing, or has collapsed.",
        "",
    )
    chart = curve(
        {"loss": (found.closeness.numpy(), found.paid.numpy())},
        s.closeness,
        chance=found.collapse,
        floor=found.floor,
        what="loss",
        x_title="closeness",
    )
    lean("marks", title, sentence, chart, why=why)
