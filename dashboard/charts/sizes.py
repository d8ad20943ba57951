"""Sizes as bars to the right, the largest on top."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.chart import Chart
from dashboard.charts.tables import axis, bottom, colour, plot, tips
from dashboard.words import count

ROW, FRAME = 26, 60


def sizes(names: Sequence[str], values: Sequence[float], *, what: str) -> Chart:
    """Bars on an axis from 0.

    Args:
        names: (n,) what each is called.
        values: (n,) at least 0.
        what: the unit, in the plural.
    """
    order = np.argsort([-value for value in values], kind="stable")
    listed = [names[k] for k in order]
    table = pd.DataFrame({"name": listed, "value": [float(values[k]) for k in order], "kind": "anchor"})
    x = alt.X("value:Q", axis=bottom(what, grid=True, domain=False, tickCount=4, format="~s"))
    y = alt.Y("name:N", sort=listed, axis=axis(labelLimit=180, domain=False, grid=False, format=""))
    bars = plot(table).mark_bar(size=14).encode(x=x, y=y, color=colour(), tooltip=tips("name:N", "value:Q"))
    said = f"; {listed[0]} {count(int(table['value'][0]))}" if listed else ""
    columns = {"name": listed, what: table["value"].tolist()}
    return Chart("altair", bars, f"{len(listed)} sizes in {what}{said}.", ROW * len(listed) + FRAME, columns)
