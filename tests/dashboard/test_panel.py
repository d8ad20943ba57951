from types import SimpleNamespace

import pytest
from streamlit.elements.lib.mutable_popover_container import PopoverContainer
from streamlit.testing.v1 import AppTest

from dashboard.charts.push import push
from dashboard.panel import PICTURE, csv


def page() -> None:
    from types import SimpleNamespace

    from dashboard.charts.evidence import differences
    from dashboard.charts.map import scatter_map
    from dashboard.charts.push import push
    from dashboard.panel import panel, show

    why = ("What you see.", "Why it is so.", r"s = 0.5")
    bars = push(["hard", "easy"], (0.5, 0.5), (0.75, 0.25))
    show("push", "Who gets pushed?", "One sentence.", bars, why=why, verdict=SimpleNamespace(word="apart", state="ok"))
    show("map", "What lies near what?", "", scatter_map([[0, 1], [1, 0]]), why=("Only this.", "", ""), select="lasso")
    show("forest", "Is it real?", "x", differences(["a"], [1], [0.5], [2]), why=why, height=321)
    with panel("bare", "Nothing yet?", "Wait.", why=why, verdict=SimpleNamespace(word="soon", state="info")):
        pass


@pytest.fixture(scope="module")
def app() -> AppTest:
    return AppTest.from_function(page).run(timeout=20)


def test_a_panel_is_a_question_a_chip_a_sentence_and_a_chart(app):
    assert not app.exception
    texts = [m.value for m in app.markdown]
    assert "**Who gets pushed?** :green-badge[:material/check: apart]\n\n:small[One sentence.]" in texts
    assert "**What lies near what?**" in texts
    assert "**Nothing yet?** :gray-badge[soon]\n\n:small[Wait.]" in texts


def test_the_three_depths_and_the_numbers_are_in_the_popover(app):
    texts = [m.value for m in app.markdown]
    full = "**What you see.**\n\nWhy it is so.\n\n$$\ns = 0.5\n$$"
    short = "**Only this.**"
    assert [text.removesuffix(f"\n\n{PICTURE}") for text in texts if text.startswith((full, short))] == [
        full,
        short,
        full,
        full,
    ]
    assert sum(text.endswith(PICTURE) for text in texts) == 3
    assert [button.key for button in app.get("download_button")] == ["save_push", "save_map", "save_forest"]


def following_a_slider() -> None:
    from dashboard.charts.push import push
    from dashboard.panel import lean, numbers

    for key, share in (("one", 0.75), ("two", 0.5)):
        why = ("What you see.", "Why it is so.", r"s = 0.5")
        lean(key, f"Who, {key}?", "One sentence.", push(["hard", "easy"], (0.5, 0.5), (share, 1 - share)), why=why)
    numbers()


def test_a_lean_panel_says_the_three_depths_when_pointed_at_and_its_numbers_wait_in_one_place():
    app = AppTest.from_function(following_a_slider).run(timeout=20)
    assert not app.exception
    heads = [each for each in app.markdown if each.value.startswith("**Who")]
    assert [each.value for each in heads] == [f"**Who, {key}?**\n\n:small[One sentence.]" for key in ("one", "two")]
    assert {each.proto.help for each in heads} == {"**What you see.**\n\nWhy it is so.\n\n$$\ns = 0.5\n$$"}
    assert [chart.proto.id.rpartition("-")[2] for chart in app.get("echarts_chart")] == ["c_one", "c_two"]
    saves = app.get("download_button")
    assert [(each.key, each.label) for each in saves] == [("save_one", "Who, one?"), ("save_two", "Who, two?")]


def test_a_closed_popover_sends_nothing(monkeypatch):
    monkeypatch.setattr(PopoverContainer, "open", property(lambda self: False, lambda self, said: None))
    app = AppTest.from_function(page).run(timeout=20)
    assert not any("What you see" in each.value for each in app.markdown)
    assert not app.get("download_button")


def test_charts_have_keys_of_their_own_and_words_for_those_who_do_not_see(app):
    (echarts,) = app.get("echarts_chart")
    assert "c_push" in echarts.proto.id
    assert echarts.proto.alt == push(["hard", "easy"], (0.5, 0.5), (0.75, 0.25)).alt
    (plotly,) = app.get("plotly_chart")
    assert "c_map" in plotly.proto.id
    assert "Map of 2 items" in plotly.proto.alt


def test_a_table_becomes_text():
    assert csv({"step": [1, 2], "loss": [0.5, float("nan")]}) == b"step,loss\n1,0.5\n2,\n"


def test_an_unknown_state_is_an_error():
    from dashboard.panel import chip

    with pytest.raises(KeyError):
        chip(SimpleNamespace(word="?", state="fine"))
