import math

import pytest

from dashboard import words


@pytest.mark.parametrize(
    ("value", "written"),
    [(-0.021, "−0.02"), (0.0, "0.00"), (-0.004, "0.00"), (1234.5, "1,234.50"), (math.nan, "–"), (-math.inf, "−∞")],
)
def test_numbers_have_a_real_minus_and_never_a_negative_zero(value, written):
    assert words.number(value) == written


@pytest.mark.parametrize(("value", "written"), [(0.63, "+0.63"), (-0.63, "−0.63"), (0.001, "0.00"), (math.nan, "–")])
def test_signed_numbers(value, written):
    assert words.signed(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(-0.5, "−0.5"), (0, "0"), (2000, "2,000"), (0.25, "0.25"), (1e-5, "1e−5"), (100, "100")]
)
def test_ticks_are_short(value, written):
    assert words.tick(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.34, "34%"), (0, "0%"), (0.004, "<1%"), (0.006, "1%"), (1, "100%"), (-0.03, "−3%"), (math.nan, "–")],
)
def test_shares_are_set_one_way(value, written):
    assert words.share(value) == written


def test_coloured_words_lead_with_the_symbol_of_the_chart():
    assert words.positives() == ":blue[**━ positives**]"
    assert words.negatives("push", "bar") == ":orange[**■ push**]"
    assert words.mixed("x̃") == ":violet[**◆ x̃**]"
    assert words.positives("own", "none") == ":blue[**own**]"
    assert (words.method("A"), words.method("B", second=True, mark="dot")) == ("**━ A**", "**○ B**")
    assert words.count(1594) == "1,594"
