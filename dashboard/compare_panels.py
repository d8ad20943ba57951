"""The panels of two embeddings of the same items, and of the recorded steps of a run."""

from collections.abc import Mapping

import numpy as np
import streamlit as st

from core.diagnostics import verdicts
from core.diagnostics.choosing import CRITERIA, Choice
from dashboard import words
from dashboard.charts.map import trio
from dashboard.charts.xy import Curve, lines
from dashboard.compare_view import Both, Changed, Steps
from dashboard.link import plain
from dashboard.map_panels import gallery
from dashboard.panel import chip, draw, panel, show


def changed(all_of: Both, one: Changed, other: str) -> None:
    """Both maps of one modality, the items that moved most in ink; and those items."""
    found, data, items = one.found, all_of.data, all_of.items
    verdict = verdicts.changed(found.overlap, found.chance_overlap, found.moved, found.chance_moved)
    most = found.most_moved.numpy()
    ink = np.zeros(len(items), dtype=bool)
    ink[most] = True
    sentence = (
        f"**{plain(one.modality)}** beside {plain(other)}: CKA {words.number(found.cka)}, 0 for unrelated spaces. "
        f"{verdict.sentence}"
    )
    why = (
        "The same items in two embeddings, the second turned so that it lies as near to the first as it can.",
        "A turn changes no cosine, so a turned copy shows no change. What an item keeps is the Jaccard index of its "
        f"{found.k} nearest others in the two; how far it moved is the distance after the turn. Both maps use the "
        "axes of the first. In ink: the items that moved most.",
        r"\min_{R^\top R=I}\lVert A-BR\rVert_F",
    )
    order = {
        "item": [data.names[row] for row in items.tolist()],
        "moved": found.distances.tolist(),
        "neighbours kept": found.overlaps.tolist(),
    }
    chart = trio([("first", one.before), ("second, turned", one.after)], highlight=ink)
    with panel(f"changed_{one.modality}", "What changed?", sentence, why=why, verdict=verdict, columns=order):
        draw(f"changed_{one.modality}", chart)
        low, high = found.distances[most[-1]], found.distances[most[0]]
        st.markdown(
            f":small[The {len(most)} that moved most, from {words.number(float(high))} to {words.number(float(low))}:]"
        )
        gallery(data, items[most].tolist())


def _line(choice: Choice, found: Steps) -> str:
    """What a criterion takes, what that costs, and whether it can be believed."""
    taken = choice.order[0]
    said = f"**{CRITERIA[choice.key].title}** takes step {found.steps[taken]:,}, "
    said += f"where it is {words.number(found.values[taken][choice.key])}"
    if found.accuracy is None or choice.correlation is None or choice.lost is None:
        return f":small[{said}.]"
    it = choice.correlation
    verdict = verdicts.agrees(it.rho, it.p, it.n, it.beyond)
    below = f", {words.number(100 * choice.lost, 1)} points below the best" if choice.lost else ", the best"
    said += f" and the accuracy {words.share(found.accuracy[taken])}{below}. {verdict.sentence}"
    said += f" Interval {words.number(it.low)} to {words.number(it.high)}." if it.low < it.high else ""
    return f"{chip(verdict)} :small[{said}]"


def steps(found: Steps) -> None:
    """Which step each criterion would take without labels, and how that agrees with the labels."""
    if len(found.steps) < 2:
        st.markdown("This run recorded fewer than two steps after the first, so there is nothing to rank.")
        return
    why = (
        "Each criterion looks at the embeddings alone and names a step; where labels exist, the honest test stands "
        "beside it.",
        "The accuracy is that of the 5 nearest other recorded items, averaged over the modalities. Rank correlation is "
        "Spearman’s, with a bootstrap interval and the probability of such an order by chance. Steps of one run follow "
        "each other: where everything rises with training, a criterion agrees without knowing anything, which is why "
        "the verdict also takes the steps out.",
        r"\rho(\text{criterion},\text{accuracy})",
    )
    columns: Mapping[str, list] = {
        "step": list(found.steps),
        **{key: [row.get(key) for row in found.values] for key in CRITERIA},
        **({"accuracy": list(found.accuracy)} if found.accuracy is not None else {}),
    }
    if found.accuracy is None:
        sentence = f"{len(found.steps)} recorded steps on {found.items} items; there are no labels to test a choice by."
        curve = Curve("RankMe", found.steps, [row["rankme"] for row in found.values])
        name = "RankMe"
    else:
        best = int(np.argmax(found.accuracy))
        agree = sum(c.correlation is not None and c.correlation.p < 0.05 < c.correlation.rho for c in found.choices)
        sentence = (
            f"Of {len(found.steps)} recorded steps, {found.steps[best]:,} is best by the labels "
            f"({words.share(found.accuracy[best])} of {found.items} items); {agree} of {len(found.choices)} criteria "
            "order the steps as the labels do."
        )
        curve, name = Curve("accuracy", found.steps, found.accuracy), "5-NN accuracy"
    with panel("steps_table", "Which step would you keep without labels?", sentence, why=why, columns=columns):
        st.markdown("\n\n".join(_line(each, found) for each in found.choices))
    show("steps", f"How did {name} go?", "By recorded step.", lines([curve], x_title="step", y_title=name), why=why)
