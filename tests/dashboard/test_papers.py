"""Papers: every row stands there, the filters narrow, and what runs is one press away."""

import re

import pytest

from core.papers import papers
from tests.dashboard.apps import link_of, opened, seen, well

TITLES = [f"**{paper.title}**" for paper in papers()]


def rows(app) -> list[str]:
    return [title for title in TITLES if any(text.startswith(title) for text in seen(app).texts)]


def test_every_paper_has_a_row_with_its_claim_its_state_and_what_is_missing():
    app = opened("papers", {})
    texts = seen(app).texts
    assert rows(app) == TITLES
    for paper in papers():
        (row,) = (text for text in texts if text.startswith(f"**{paper.title}**"))
        assert paper.claim in row
        assert f"[:material/check: {paper.state}]" in row or f"{paper.state}]" in row
        assert all(part in row for part in (*paper.missing, *(entry.title for _, entry in paper.pieces)))
    counted = {state: sum(paper.state == state for paper in papers()) for state in ("runs", "in part", "not yet")}
    assert texts[1].startswith(
        f"DMM and 43 papers around it. **{counted['runs']}** run, **{counted['in part']}** run in part, "
        f"**{counted['not yet']}** not yet."
    )


@pytest.mark.parametrize(
    ("link", "ids"),
    [
        ({"papers.find": "yeh"}, {"dcl"}),
        ({"papers.find": "yeh 2110.06848"}, {"dcl"}),
        ({"papers.state": "not yet"}, {paper.id for paper in papers() if paper.state == "not yet"}),
        ({"papers.kind": "sampler"}, {paper.id for paper in papers() if "sampler" in paper.kinds}),
        ({"papers.kind": "sampler", "papers.find": "geo"}, {"sample4geo"}),
    ],
)
def test_search_and_filters_narrow_and_the_link_restores_them(link, ids):
    app = opened("papers", link)
    assert rows(app) == [f"**{paper.title}**" for paper in papers() if paper.id in ids]
    assert link_of(app) == link


def test_nothing_found_says_so_and_clears():
    app = opened("papers", {"papers.find": "perpetual motion"})
    assert rows(app) == []
    well(app.button(key="clear_papers").click().run())
    assert rows(app) == TITLES


def test_what_runs_opens_where_it_is_seen():
    app = opened("papers", {"papers.find": "yeh"})
    well(app.button(key="see_dcl").click().run())
    assert link_of(app)["losses.open.kind"] == "dcl"
    assert any("How does a loss pull and push?" in text for text in seen(app).texts)


def test_a_claim_names_its_paper_turns_to_its_control_and_back_and_is_put_away():
    (paper,) = (paper for paper in papers() if paper.id == "dcl")

    def told(app) -> str:
        (text,) = (text for text in seen(app).texts if text.startswith("**Does the pull equal the push?**"))
        return text

    app = opened("papers", {"papers.find": "yeh"})
    well(app.button(key="see_dcl").click().run())
    link = link_of(app)
    assert link == {"papers.find": "yeh", "papers.shown": "dcl", **paper.open.link}
    app = opened("losses", link)
    (line,) = (text for text in seen(app).texts if paper.look in text)
    assert paper.title in line
    assert paper.weak in line
    pull = told(app)
    well(app.button(key="paper_control").click().run())
    assert link_of(app)["losses.open.kind"] == paper.control["losses.open.kind"]
    assert told(app) != pull
    assert any("its control" in text for text in seen(app).texts)
    well(app.button(key="paper_claim").click().run())
    assert (link_of(app), told(app)) == (link, pull)
    well(app.button(key="paper_away").click().run())
    assert link_of(app) == {name: text for name, text in link.items() if name != "papers.shown"}
    assert not any(paper.look in text for text in seen(app).texts)


def test_a_paper_is_named_on_its_own_page_alone():
    (paper,) = (paper for paper in papers() if paper.id == "dcl")
    assert not any(paper.look in text for text in seen(opened("gradients", {"papers.shown": "dcl"})).texts)


LIKE = {"losses", "play"}  # all their pictures have the same panels
PLACES = {paper.open.page if paper.open.page in LIKE else paper.id: paper for paper in papers() if paper.look}


@pytest.mark.parametrize("place", sorted(PLACES))
def test_the_panels_that_the_sentences_name_are_on_their_page(place):
    one = PLACES[place]
    told = [each for each in papers() if each.look and each.open.page == place] or [one]
    texts = seen(opened(one.open.page, {**one.open.link, "papers.shown": one.id})).texts
    named = {title for paper in told for title in re.findall(r"“([^”]+\?)”", paper.look)}
    assert named
    assert [title for title in named if not any(text.startswith(f"**{title}**") for text in texts)] == []
