"""How numbers and coloured words are written, in one place, so that every page writes them the same way."""

import math
from typing import Literal

Mark = Literal["line", "dot", "bar", "none"]
MINUS = "−"
_SYMBOLS: dict[str, dict[str, str]] = {
    "blue": {"line": "━", "dot": "●", "bar": "■"},
    "orange": {"line": "╍", "dot": "□", "bar": "■"},
    "violet": {"line": "◆", "dot": "◆", "bar": "◆"},
}


def number(value: float, digits: int = 2) -> str:
    """A number with a real minus sign and a fixed count of decimals, `"−0.02"`; `"–"` where there is none."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else f"{MINUS}∞")
    text = f"{abs(value):,.{digits}f}"
    return f"{MINUS}{text}" if value < 0 and float(text.replace(",", "")) else text


def signed(value: float, digits: int = 2) -> str:
    """As `number`, with a plus sign where it is above zero: `"+0.63"`."""
    text = number(value, digits)
    return f"+{text}" if text[0].isdigit() and float(text.replace(",", "")) else text


def tick(value: float) -> str:
    """A number as short as it can be, for an axis: `"−0.5"`, `"0"`, `"2,000"`."""
    if value and abs(value) < 1e-4:
        return f"{value:.0e}".replace("e-0", "e-").replace("-", MINUS)
    text = number(value, 4)
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(value: float) -> str:
    """A share between 0 and 1 in per cent, `"34%"`; what is above 0 but below half a per cent is `"<1%"`."""
    if not math.isfinite(value):
        return "–"
    return "<1%" if 0 < value < 0.005 else f"{number(100 * value, 0)}%"


def count(value: int) -> str:
    """A whole number with thousands set apart, `"1,594"`."""
    return number(value, 0)


def _coloured(colour: str, text: str, mark: Mark) -> str:
    symbol = _SYMBOLS[colour].get(mark, "")
    return f":{colour}[**{f'{symbol} ' if symbol else ''}{text}**]"


def positives(text: str = "positives", mark: Mark = "line") -> str:
    """The word for positive pairs in its colour, led by the symbol that the chart draws: part of a sentence."""
    return _coloured("blue", text, mark)


def negatives(text: str = "negatives", mark: Mark = "line") -> str:
    """The word for negative pairs; arguments as for `positives`."""
    return _coloured("orange", text, mark)


def mixed(text: str = "mixed pairs", mark: Mark = "dot") -> str:
    """The word for mixed pairs; arguments as for `positives`."""
    return _coloured("violet", text, mark)


def method(text: str, *, second: bool = False, mark: Mark = "line") -> str:
    """The name of a run or method in neutral ink: solid or filled for the first, dashed or hollow for a second one."""
    symbol = {"line": "━╍", "dot": "●○"}.get(mark, "■□")[second]
    return f"**{symbol} {text}**"
