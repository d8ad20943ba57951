"""The desk of Paste: the box that is typed into, what was found in it, and what is kept."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from core.pasted import calls, checks, kept
from core.pasted.checks import Check, accepted, checked, headline
from core.pasted.entry import Pasted
from core.pasted.examples import EXAMPLES, FAULTY, SOUND
from core.pasted.source import LETTERS, NAME, Source, plainly, read
from core.refusal import Refusal
from dashboard import words
from dashboard.controls import WIDTH
from dashboard.link import change, plain, replace, view
from dashboard.loss_view import way_to_play
from dashboard.panel import chip

TEXT, BOX, EXAMPLE, CALLED = "paste_text", "paste_box", "paste_example", "paste_name"
HEIGHT, LARGEST_MB, MINE = 240, 1, "mine"
OWN, FIRST = "Your own", next(iter(SOUND))
CHOICES: Mapping[str, str] = {
    **{name: f"{name} (sound)" for name in SOUND},
    **{name: f"{name} (a fault)" for name in FAULTY},
}


@dataclass(frozen=True)
class Verdict:
    """What was found in a text: the checks, or the sentence that refuses to read it."""

    source: Source | None
    checks: tuple[Check, ...]
    refusal: str = ""

    @property
    def p(self) -> Pasted | None:
        """The params of the loss, where it was accepted."""
        return Pasted(code=self.source.key) if self.source is not None and accepted(self.checks) else None


@st.cache_resource(max_entries=60, show_spinner=False)
def _checked(source: Source) -> tuple[Check, ...]:
    return checked(source)


@st.cache_resource(show_spinner=False)
def warm_up() -> bool:
    """Start the process that runs texts, once for each server."""
    calls.warm_up()
    return True


def text() -> str:
    """What stands in the box: what was typed, the kept loss that the link names, or the first example."""
    if TEXT not in st.session_state:
        st.session_state[TEXT] = _kept(view().paste.code) or EXAMPLES[FIRST]
    return st.session_state[TEXT]


def _kept(code: str) -> str:
    """A kept text; empty where there is none, and `complaint` then says why."""
    try:
        return kept.find(code).text if code else ""
    except Refusal as error:
        st.session_state["paste_said"] = str(error)
        change("paste.code", "")
        return ""


def complaint() -> None:
    """Why the last press of a button could not be followed."""
    if said := st.session_state.pop("paste_said", ""):
        st.error(spoken(said))


def set_text(new: str) -> None:
    """Put a text into the box; the link names it only if it is kept."""
    st.session_state[TEXT] = st.session_state[BOX] = new
    try:
        key = read(new).key
    except Refusal:
        key = ""
    change("paste.code", key if key in kept.listed() else "")


def verdict() -> Verdict:
    """What is found in the text of the box; an accepted one then lies on the desk."""
    try:
        source = read(text())
    except Refusal as error:
        return Verdict(None, (), str(error))
    with st.spinner("Checking it ..."):
        found = Verdict(source, _checked(source))
    if found.p is not None:
        kept.lay(source)
    return found


def box() -> None:
    """Where a loss is typed, with examples to start from and a file to point to."""
    st.session_state[BOX] = text()

    def chosen() -> None:
        if st.session_state[EXAMPLE] in EXAMPLES:
            set_text(EXAMPLES[st.session_state[EXAMPLE]])

    now = next((name for name, each in EXAMPLES.items() if plainly(each) == plainly(text())), OWN)
    st.session_state[EXAMPLE] = now
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        options = [*([OWN] if now == OWN else []), *EXAMPLES]
        st.selectbox(
            "Start from", options, key=EXAMPLE, on_change=chosen, width=2 * WIDTH,
            format_func=lambda name: CHOICES.get(name, name),
        )  # fmt: skip
        with st.popover("A file", icon=":material/upload_file:", type="tertiary", key="paste_file"):
            _uploader()
    st.html(f"<style>.st-key-{BOX} textarea {{ font-family: ui-monospace, monospace; }}</style>")
    st.text_area(
        f"def {NAME}(scores) or def {NAME}(a, b)",
        key=BOX,
        height=HEIGHT,
        max_chars=LETTERS,
        on_change=lambda: set_text(st.session_state[BOX]),
        help="scores: (B, B) cosines of all pairs, each anchor's positive on the diagonal. a, b: (B, D) embeddings of "
        "length 1, pair by pair. Return one number, or one for each pair. torch, F (torch.nn.functional) and math are "
        "there. Ctrl+Enter checks it.",
    )
    st.button("Check it", icon=":material/rule:", key="check")


def _uploader() -> None:
    given = st.file_uploader(
        "A .py file of yours", type=["py"], key=f"paste_up_{st.session_state.get('paste_dropped', 0)}",
        max_upload_size=LARGEST_MB, help="Its text is put into the box, and held to the same rules.",
    )  # fmt: skip
    if given is not None:
        st.session_state["paste_dropped"] = st.session_state.get("paste_dropped", 0) + 1
        st.session_state["paste_came"] = given.getvalue().decode("utf-8", errors="replace")
        st.rerun()


def take_file() -> None:
    """Put the file that came last into the box, before the box is drawn."""
    if (came := st.session_state.pop("paste_came", None)) is not None:
        set_text(came)


def spoken(sentence: str) -> str:
    """A sentence of the checks as it is shown: with real minus signs, and nothing in it that Markdown would set."""
    return re.sub(r"-(?=\d)", words.MINUS, re.sub(r"([\\`*_\[\]<>$~:#|])", r"\\\1", sentence))


def findings(found: Verdict) -> None:
    """Every check with its chip and its sentence; refusals first."""
    if found.source is None:
        st.markdown(f"**Not read.** {chip(Check('runs', 'bad', ''))}  \n{spoken(found.refusal)}")
        return
    st.markdown(f"**{headline(found.checks)}**")
    order = sorted(found.checks, key=lambda check: ("bad", "watch", "ok").index(check.state))
    rows = (f"{chip(check)} **{check.title}**  \n:small[{spoken(check.sentence)}]" for check in order)
    st.markdown("\n\n".join(rows))


def keeping(found: Verdict) -> None:
    """Name, keep and train an accepted loss."""
    p, source = found.p, found.source
    if p is None or source is None:
        return
    here = p.code in kept.listed()
    st.session_state.setdefault(CALLED, kept.name_of(p.code) if here else MINE)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.text_input("Name", key=CALLED, max_chars=kept.LONGEST, width=WIDTH)
        st.button("Keep it", icon=":material/bookmark:", key="keep", on_click=_keep, args=(source,))
        if st.button("Train in Play", icon=":material/play_arrow:", key="take"):
            _keep(source)
            target, why = way_to_play(p, view())
            if target is None:
                st.session_state["paste_said"] = why
            else:
                replace(target)
                st.switch_page("../pages/play.py")


def _keep(source: Source) -> None:
    try:
        change("paste.code", kept.keep(source, st.session_state[CALLED]))
    except Refusal as error:
        st.session_state["paste_said"] = str(error)


def shelf() -> None:
    """The losses that are kept on this machine."""
    names = kept.listed()
    if not names:
        return
    st.markdown("**Kept on this machine**")
    for key, name in names.items():
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False):
            st.markdown(f":small[**{plain(name)}** {key[:8]}]", width="stretch")
            here = view().paste.code == key
            st.button("Open", key=f"open_{key}", type="tertiary", disabled=here, on_click=_open, args=(key, name))
            st.button(
                "", icon=":material/delete:", key=f"forget_{key}", type="tertiary", on_click=_forget, args=(key,),
                help="Forget it; runs of it keep their numbers",
            )  # fmt: skip


def _open(key: str, name: str) -> None:
    if text := _kept(key):
        set_text(text)
        st.session_state[CALLED] = name


def _forget(key: str) -> None:
    kept.forget(key)
    if view().paste.code == key:
        change("paste.code", "")


def limits() -> str:
    """What holds a text, and what does not, in a few words."""
    lacking = calls.lacking()
    more = f" This system does not limit {' and '.join(lacking)}." if lacking else ""
    return (
        "It runs in a process of its own, which has a few seconds and 1,000 MB and opens no file, no socket and no "
        f"program.{more} That stops accidents; read what you paste."
    )


def questions() -> list[str]:
    """What every text is asked."""
    return list(checks.TITLES.values())
