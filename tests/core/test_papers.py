"""The table of papers says what is true: of the registries, of the tests, and of the pages."""

import re

import pytest

from core.addresses import read
from core.catalogue import REGISTRIES
from core.losses.registry import LOSSES
from core.papers import KINDS, Paper, papers
from tests.dashboard.apps import pages
from tests.golden.families import HOME
from tests.golden.test_golden import FAMILIES

EVERY = pytest.mark.parametrize("paper", papers(), ids=lambda paper: paper.id)
BESIDE = r"dmm_\w+"


def test_there_are_dmm_and_43_papers_each_once():
    assert [paper.number for paper in papers()] == list(range(44))
    assert len({paper.id for paper in papers()}) == 44
    assert papers()[0].id == "dmm"


def test_every_paper_that_a_piece_names_is_in_the_table():
    named = {name for registry in REGISTRIES for entry in registry for name in entry.papers}
    assert named <= {paper.id for paper in papers()}


@EVERY
def test_a_row_is_one_claim_of_known_kinds(paper: Paper):
    assert set(paper.kinds) <= set(KINDS)
    assert re.fullmatch(r"[A-Z][^.]+\.", paper.claim)
    assert len(paper.claim.split()) <= 30
    assert not paper.note or paper.note.endswith(".")


@EVERY
def test_what_runs_is_shown_and_what_does_not_is_said(paper: Paper):
    if not paper.pieces:
        assert paper.state == "not yet"
        assert paper.missing
        return
    if paper.open.page:
        from dashboard.link import DEFAULT

        assert paper.open.page in pages()
        view, refused = read(paper.open.link, DEFAULT)
        assert refused == []
        if paper.open.page == "losses":
            assert paper.id in LOSSES.of(view.losses.open).papers
    else:
        assert paper.missing, "what has no place to be seen at does not run"


@EVERY
def test_its_numbers_are_tested_where_it_says_so(paper: Paper):
    for stem in paper.golden if paper.pieces else ():
        assert (HOME / f"{stem}.npz").exists()
        assert sum(bool(re.fullmatch(family.files, stem)) for family in FAMILIES) == 1


def test_every_golden_file_belongs_to_a_paper():
    named = {stem for paper in papers() for stem in paper.golden}
    found = {file.stem for file in HOME.glob("*.npz")}
    assert {stem for stem in found - named if not re.fullmatch(BESIDE, stem)} == set()
