"""What the Altair charts share: the theme's colours by the order of a domain, and axes in ink.

Channels are named by their class: for a bare string or a condition Altair looks through all of its classes anew.
"""

from typing import Any

import altair as alt
import pandas as pd
from altair.utils import schemapi

from dashboard.charts import theme

# The theme writes axis labels in a grey below 4.5:1; the colour scale of the chart itself knows the ink.
INK = alt.expr("scale('color', 'anchor')")
# What lies under a hollow mark must not show through; Vega names the page's colour.
PAPER = alt.expr("background")
FAINT = 0.16

# A chart is held to the schema as a whole when it is drawn; Altair need not do so with each of its parts before.
schemapi.disable_debug_mode()


def plot(table: pd.DataFrame) -> Any:
    """An Altair chart of a table. Loosely typed, since Altair's own types lose the chart at every mark."""
    return alt.Chart(table)


def colour(field: str = "kind") -> alt.Color:
    """The colour of a column that holds names out of `theme.KINDS`."""
    return alt.Color(f"{field}:N", scale=alt.Scale(domain=list(theme.KINDS)), legend=None)


def tips(*fields: str) -> list[alt.Tooltip]:
    """What is read at a mark."""
    return [alt.Tooltip(field) for field in fields]


def shown(where: Any, else_at: float) -> alt.OpacityValue:
    """Marks in full where a condition on their row holds, and at an opacity of `else_at` where not."""
    return alt.OpacityValue(else_at, condition={"test": where, "value": 1})


def axis(title: str | None = None, **more: Any) -> alt.Axis:
    """An axis with readable labels and a title close to it."""
    settings: dict[str, Any] = {
        "title": title,
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": theme.LABEL,
        "titleFontSize": theme.LABEL,
        "labelPadding": 6,
        "titlePadding": 8,
        "labelFlush": False,
        "format": "~f",
    }
    return alt.Axis(**(settings | more))


def bottom(title: str | None, **more: Any) -> alt.Axis:
    """The x axis: a line in ink, no grid unless asked for."""
    return axis(title, **({"domain": True, "domainColor": INK, "grid": False} | more))
