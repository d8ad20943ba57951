"""Start: what do you want to do? A real run moves beside the answer."""

from itertools import islice
from typing import Any

import streamlit as st

from core.runs import demo
from core.runs.folder import list_runs
from dashboard.charts.circle import circle
from dashboard.moving import film, frame_index
from dashboard.panel import draw
from dashboard.thumbnails import emoji_urls
from dashboard.words import positives

DOORS = (
    ("Train and watch", "48 emoji look for their names; ten seconds", ":material/play_arrow:", "play"),
    ("Understand a loss", "how it pulls and pushes, with no training", ":material/function:", "gradients"),
    ("Check my embeddings", "drop a file; nothing leaves this machine", ":material/upload_file:", "inspect"),
)


def go(page: str) -> None:
    st.switch_page(f"../pages/{page}.py")


def try_it(card: dict[str, Any]) -> None:
    """Open a lesson, with its runs already on their way."""
    from dashboard.lab import begin
    from dashboard.link import of_lesson, replace

    asked = of_lesson(card)
    for recipe in [asked.recipe(), *([asked.second()] if asked.lane.on else [])]:
        begin(recipe)
    replace(asked)
    go(card["page"])


def door(title: str, text: str, icon: str, page: str) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown(f"**{title}**  \n:small[{text}]", width="stretch")
        if st.button("Open", icon=icon, key=f"open_{page}", help=f"{title}: {text}"):
            go(page)


@st.fragment(run_every=0.5)
def moving() -> None:
    now = film()
    tick = st.session_state["tick"] = st.session_state.get("tick", -3) + 1
    index = frame_index(now, tick * max(1, len(now.steps) // 40))
    pictures, names = now.pictures[index], now.names[index]
    draw("moving", circle(pictures, names, urls=emoji_urls(now.items.tolist())))
    source = "A run recorded earlier" if now.recorded else "A run on this machine"
    st.markdown(
        f":small[{source}, step {now.steps[index]}: **{now.found(index)} of {len(names)}** pictures sit nearest to "
        f"{positives('their own name', 'dot')}.]"
    )


def lessons() -> None:
    st.subheader("Or start from a question")
    cards = demo.presets()["lessons"]
    for row in range(0, len(cards), 4):
        for place, card in zip(st.columns(4), cards[row : row + 4], strict=False):
            with place.container(border=True, height="stretch"):
                (picture,) = emoji_urls([card["picture"]])
                st.markdown(f"![]({picture})  \n**{card['title']}**  \n:small[{card['text']}]")
                if st.button("Try it", key=f"lesson_{card['key']}", type="tertiary", icon=":material/arrow_forward:"):
                    try_it(card)


def reopen(recipe: dict[str, Any]) -> None:
    """Open Play on a run's recipe, if this version still understands it."""
    from dashboard.link import DEFAULT, replace

    try:
        view = DEFAULT.with_recipe(recipe)
    except ValueError:
        st.error("Another version of Pushpull made this run, and its settings are not known here; train it again.")
        return
    replace(view)
    go("play")


def last_runs() -> None:
    runs = list(islice(list_runs(), 3))
    if not runs:
        return
    st.subheader("Your last runs")
    for run in runs:
        status = run.status()
        with st.container(horizontal=True, vertical_alignment="center"):
            recipe = {} if status.state == "damaged" else run.recipe()
            what = " on ".join(str(recipe.get(part, {}).get("kind", "?")) for part in ("loss", "data"))
            said = f"step {status.step} of {status.steps} · {status.state}" if recipe else status.message
            st.markdown(f":small[**{what if recipe else 'A damaged run'}** · {said}]", width="content")
            if recipe and st.button("Open", key=f"run_{run.path.name}", type="tertiary", help=f"Run {run.path.name}"):
                reopen(recipe)


left, right = st.columns([6, 5], gap="large")
with left:
    st.title("Pull together, push apart.")
    st.markdown(
        "A contrastive loss teaches a network what belongs together. Here you train one, watch every pair move, and "
        "test whether it holds."
    )
    for each in DOORS:
        door(*each)
with right:
    moving()
lessons()
last_runs()
