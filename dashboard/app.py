"""The app: navigation, and the link checked against the schema before any widget is built."""

import gc
import importlib
import os
import sys
import threading
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

here = importlib.import_module("core.environment")
for variable, value in here.ONE_THREAD.items():
    os.environ.setdefault(variable, value)
if st.get_option("server.address") != here.THIS_MACHINE:
    os.environ.pop(here.PASTE, None)  # what is typed runs here, so that nobody else may type

ABOUT = """**Pushpull**, a laboratory for contrastive losses.

Everything runs on this machine; nothing is sent anywhere. Every number on a page comes from a computation on the
model or data shown."""

st.set_page_config(
    page_title="Pushpull",
    page_icon=str(ROOT / "assets" / "icon.svg"),
    layout="wide",
    menu_items={"About": ABOUT},
)
st.logo(str(ROOT / "assets" / "icon.svg"))

START = st.Page(ROOT / "pages" / "start.py", title="Start", default=True)
OTHERS = [
    st.Page(ROOT / "pages" / f"{name}.py", title=title, url_path=name)
    for name, title in (
        ("play", "Play"),
        ("losses", "Losses"),
        ("family", "Family"),
        ("paste", "Paste"),
        ("scores", "Scores"),
        ("gradients", "Gradients"),
        ("margins", "Margins"),
        ("map", "Map"),
        ("missing", "Missing"),
        ("evidence", "Evidence"),
        ("inspect", "Inspect"),
        ("papers", "Papers"),
    )
    if (ROOT / "pages" / f"{name}.py").exists()
]
page = st.navigation([START, *OTHERS], position="top")

needs_schema = page is not START or set(st.query_params) - {"v"}
if needs_schema or "view" in st.session_state:
    from dashboard.link import refusals, view, write_link

    view()
    write_link()
    refusals()
    if view().papers.shown:
        importlib.import_module("dashboard.paper_view").line(page.url_path)
page.run()


@st.cache_resource(show_spinner=False)
def warm_up() -> threading.Timer:
    """Import what the other pages need, a little after the first page has been painted.

    What has been imported stays: the collector need not walk over it again, which costs a tenth of a second each time.
    """

    def prepare() -> None:
        importlib.import_module("dashboard.lab")
        gc.collect()
        gc.freeze()

    timer = threading.Timer(2.0, prepare)
    timer.daemon = True
    timer.start()
    return timer


warm_up()
