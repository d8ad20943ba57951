"""The panels of the Evidence page: our own measurements, the authors', and where paper and code differ."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.charts.evidence import differences, levels
from dashboard.charts.missing import drop_curve
from dashboard.evidence import (
    DMM_KINDS,
    Results,
    Row,
    against,
    along_drops,
    best,
    chip_of,
    edge_sentence,
    improvement_sentence,
    improvements,
    log_intervals,
    measure_title,
    provenance,
    published,
    table,
    title_of,
    verdict_sentence,
)
from dashboard.panel import show
from dashboard.words import method, number, share, signed

PAIRED = (
    "The same seed gives both arms the same initial weights and the same batches, so the difference is taken seed by "
    "seed; Student's interval of its mean holds 95% of what training could have given. An open mark has zero inside: "
    "a tie. The best control is the one with the highest mean on validation, never on the test part. The other "
    "differences are many looks at one experiment, and some leave zero out by chance."
)
FORMULA = r"\bar d\pm t_{0.975,\,n-1}\,s_d/\sqrt n"
TAGS = {"code": "shipped with the code", "history": "their version history", "ours": "our sum of their log",
        "run": "their classes, run here"}  # fmt: skip


def _forest(key: str, title: str, sentence: str, names: Sequence[str], rows: Sequence[Row], **more: Any) -> None:
    """Differences of shares, in points; rows without a number are left out."""
    held = [(name, row) for name, row in zip(names, rows, strict=True) if row["mean"] is not None]
    if not held:
        st.markdown(f"**{title}**  \n:small[{sentence}]")
        return
    scaled = [[100 * row[part] for _, row in held] for part in ("mean", "low", "high")]
    seeds = [[100 * value for value in row["per_seed"]] for _, row in held]
    chart = differences([name for name, _ in held], scaled[0], scaled[1], scaled[2], seeds)
    show(key, title, sentence, chart, why=("Paired differences on the test part.", PAIRED, FORMULA), **more)


def controls(results: Results, arm: str) -> None:
    """An arm against every control of its family."""
    rows = against(results, arm)
    names = [title_of(results, row["control"]) + (" · best" if row["best"] else "") for row in rows]
    ahead = sum(row["word"] == "better" for row in rows)
    behind = sum(row["word"] == "worse" for row in rows)
    sentence = (
        f"{title_of(results, arm)} less each other arm: better than {ahead}, worse than {behind}, "
        f"level with {len(rows) - ahead - behind} of {len(rows)}. *Best* is the best control on validation."
    )
    _forest("controls", "Is it more than its controls?", sentence, names, rows, verdict=chip_of(best(results, arm)))


def reached(results: Results) -> None:
    """What every arm reaches."""
    arms = [arm for arm in results["arms"] if arm["interval"] is not None]
    arms.sort(key=lambda arm: -arm["interval"]["mean"])
    means, lows, highs = ([100 * arm["interval"][part] for arm in arms] for part in ("mean", "low", "high"))
    mixes = [arm["kind"] in DMM_KINDS for arm in arms]
    what = measure_title(results, results["primary"])
    gap = means[0] - means[-1]
    sentence = (
        f"**● DMM** and **○ controls**: {arms[0]['title']} reaches the most, {number(means[0], 1)}%, and all "
        f"{len(arms)} lie within {number(gap, 1)} points."
    )
    tuned = "; ".join(f"{arm['title']}: {' '.join(map(_spelt, arm['chosen'].items()))}" for arm in arms)
    why = (
        "Mean over the seeds on the test part, with its 95% interval.",
        f"Each arm with the configuration that validation preferred. {tuned}.",
        "",
    )
    chart = levels([arm["title"] for arm in arms], means, lows, highs, mixes, x_title=f"{what}, %")
    show("reached", "How far does each arm get?", sentence, chart, why=why)


def _spelt(setting: tuple[str, str]) -> str:
    return f"{setting[0].rpartition('.')[2]} {setting[1]}"


def details(results: Results, arm: str) -> None:
    """An arm against its best control in every other measure that is a share."""
    row = best(results, arm)
    if row is None:
        return
    rows = [
        each
        for each in results["differences"]
        if (each["arm"], each["control"]) == (arm, row["control"])
        and each["measure"] not in results["lower"]
        and not each["measure"].startswith(("dropped.", "released."))
    ]
    names = [measure_title(results, each["measure"]) for each in rows]
    clear = [name for name, each in zip(names, rows, strict=True) if each["word"] in ("better", "worse")]
    sentence = (
        f"Against {title_of(results, row['control'])} in every measure: "
        + (f"zero lies outside for {', '.join(clear)}." if clear else "zero lies inside everywhere.")
    )  # fmt: skip
    _forest("details", "Does it pay anywhere?", sentence, names, rows)


def falling(results: Results, arm: str) -> None:
    """An arm and its best control along the drop rate, where that was measured."""
    row = best(results, arm)
    if row is None or not (curves := along_drops(results, (arm, row["control"]))):
        return
    rates, found = curves
    ours, theirs = found.values()
    apart = max(abs(a - b) for a, b in zip(ours[0], theirs[0], strict=True))
    sentence = (
        f"{method(title_of(results, arm))} and {method(title_of(results, row['control']), second=True)}: from "
        f"{share(ours[0][0])} with everything there to {share(ours[0][-1])} with one modality left; never more than "
        f"{number(100 * apart, 1)} points apart."
    )
    why = (
        "Accuracy while each modality of each item is dropped more and more often; the last one stays.",
        "Mean over the seeds, each with the same 20 draws of what is dropped; the band is its 95% interval.",
        "",
    )
    show("falling", "How fast does it fall?", sentence, drop_curve(rates, found), why=why)


def better_forms(results: Results) -> None:
    """Each improvement against what it improves on."""
    rows = improvements(results)
    if not rows:
        return
    names = [f"{title_of(results, row['arm'])} − {title_of(results, row['control'])}" for row in rows]
    _forest("improvements", "Can DMM be improved?", improvement_sentence(results), names, rows)


def ours(results: Results, arm: str) -> None:
    """Everything that was measured here."""
    left, right = st.columns(2, gap="large")
    with left:
        controls(results, arm)
        details(results, arm)
        falling(results, arm)
    with right:
        reached(results)
        better_forms(results)
    said = " ".join(filter(None, (results["note"], provenance(results), edge_sentence(results))))
    st.markdown(f":small[{said}]")


def _table(part: Any, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A published table with its provenance; numbers stand as they were found."""
    st.markdown(f"**{part['title']}** :gray-badge[{TAGS[part['tag']]}]  \n:small[{part['source']}]")
    _scrolled(part["title"], heads, rows)


def _scrolled(alt: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table that scrolls sideways by itself where the screen is narrow."""
    st.table(pd.DataFrame(rows, columns=list(heads)), border="horizontal", hide_index=True, alt=alt)


def _logged_runs() -> None:
    part = published()["retrieval"]["runs"]
    columns = table(part)
    pairs = list(zip(columns["configuration"], columns["seed"], columns["difference"], strict=True))
    better = sum(difference > 0 for *_, difference in pairs)
    found = [100 * difference for *_, difference in pairs]
    chart = differences([f"{name}, seed {seed}" for name, seed, _ in pairs], found, found, found)
    show(
        "logged",
        "What do their own runs say?",
        f"DMM less the base, mean R@1 of both directions, same configuration and seed: ahead in {better} of "
        f"{len(pairs)}. One run each, so there is no interval.",
        chart,
        why=("Five pairs out of the version history.", part["source"], ""),
    )


def their_retrieval() -> None:
    """The logged runs, and the baseline that ships with COOT."""
    _logged_runs()
    part = published()["retrieval"]["baseline"]
    rows = [
        [
            row[0],
            row[1],
            *(f"{number(100 * row[k], 1)}\u00a0±\u00a0{number(100 * row[k + 1], 1)}" for k in (2, 4, 6)),
            str(row[9]),
        ]
        for row in part["rows"]
    ]
    _table(part, ["Set", "From → to", "R@1, %", "R@5, %", "R@10, %", "Median rank"], rows)


def _logged(row: Sequence[Any]) -> list[str]:
    """A row of the authors' log in words."""
    subset, joint, joint_sd, gmc, gmc_sd, dmm, dmm_sd, difference = row[:8]
    return [
        subset,
        f"{joint:.4g}\u00a0±\u00a0{joint_sd:.4g}",
        f"{number(gmc, 4)}\u00a0±\u00a0{number(gmc_sd, 4)}",
        f"{number(dmm, 4)}\u00a0±\u00a0{number(dmm_sd, 4)}",
        signed(difference, 4),
        f"{number(100 * row[13], 1)}% → {number(100 * row[14], 1)}%",
    ]


def their_missing() -> None:
    """The raw log of five seeds, and the thresholds of the search."""
    log = published()["missing"]["log"]
    found = log_intervals(log)
    chart = differences(*map(list, zip(*found, strict=True)), x_title="error (MAE) gained: left is better")
    clear = [subset for subset, _, low, high in found if low > 0 or high < 0]
    grid = log["grid"]
    show(
        "their_log",
        "What does their own log say?",
        f"GMC + DMM less GMC, error over five seeds: zero lies outside for {' and '.join(clear)} only, where DMM "
        f"errs more. Over {grid['configurations']} DMM settings at seed 0 the mean error is "
        f"{number(grid['lowest'], 4)} to {number(grid['highest'], 4)}; GMC's is {number(grid['gmc_seed_0'], 4)}.",
        chart,
        why=("Seven subsets of text, audio and video on CMU-MOSEI.", f"{log['source']} Intervals are ours, from "
             "the rounded difference and its t.", r"d\pm2.776\,d/t"),
    )  # fmt: skip
    heads = ["Subset", "Joint only, MAE", "GMC, MAE", "GMC + DMM, MAE", "Difference", "Accuracy, GMC → DMM"]
    _table(log, heads, [_logged(row) for row in log["rows"]])
    goals = published()["missing"]["goals"]
    _table(
        goals,
        ["Subset", "MAE", "Correlation", "F1", "Accuracy"],
        [[r[0], *(number(value, 4) for value in r[1:])] for r in goals["rows"]],
    )


def their_recommender() -> None:
    """There are no results; the decay of the margin is what can be shown."""
    part = published()["recommender"]["decay"]
    zero = part["zero"]
    rows = [[str(calls), f"{low:.3g}", f"{high:.3g}"] for calls, low, high in part["rows"]]
    _table(part, ["Calls", "Margin left, Min", "Margin left, Sum"], rows)
    st.markdown(f":small[It is exactly 0 from call {zero['min']} (Min) and {zero['sum']} (Sum) on.]")


def not_found() -> None:
    """What was looked for in vain."""
    st.markdown("**What could not be found?**\n" + "\n".join(f"- {each}" for each in published()["not_found"]))


def discrepancies() -> None:
    """Where the released code departs from what abstract and figure say."""
    st.markdown(
        "**Where do paper and code differ?**  \n:small[Faults that change numbers can be switched on beside their "
        "repair. Of the article, abstract and figure could be read.]"
    )
    rows = [[where, said or "–", does] for where, said, does in published()["discrepancies"]]
    _scrolled("Where paper and code differ", ["Where", "Abstract or figure", "Released code"], rows)


def claim(task: str, results: Results, arm: str) -> None:
    """The claim, what their own numbers say of it, and what ours do."""
    known = published()["claims"][task]
    mine = verdict_sentence(results, arm) if results else "Not measured yet."
    st.markdown(f"**The claim.** {known['paper']}  \n**Their numbers.** {known['known']}  \n**Ours.** {mine}")
    st.markdown(f":small[{known['setting']}]")
