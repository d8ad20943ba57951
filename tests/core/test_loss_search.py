"""Finding a loss: by word, by family, and by what one has."""

import pytest

from core.loss_search import FAMILIES, HAVE, OTHERS, WORDS, asked, covered, find, holders, kin, meanings, plain, rank
from core.losses.registry import LOSSES
from core.vocabulary import VOCABULARY

EVERY = set(LOSSES.keys())


def keys(*given, **named) -> list[str]:
    return [entry.key for entry in find(*given, **named)]


def test_without_a_question_every_loss_answers_and_the_best_known_comes_first():
    found = find()
    assert {entry.key for entry in found} == EVERY
    assert len(found) == len(EVERY)
    assert [kin(entry) for entry in found] == sorted((kin(entry) for entry in found), reverse=True)
    assert found[0].key == "info_nce"


@pytest.mark.parametrize("key", LOSSES.keys())
def test_every_loss_is_found_by_its_name_key_papers_and_the_first_word_of_its_source(key: str):
    entry = LOSSES[key]
    for text in (entry.title, key, key.replace("_", " ").upper(), *entry.papers, entry.source.split()[0]):
        assert key in keys(text), text
    assert rank(entry, entry.title) == 0


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("nt-xent", "nt_xent"), ("NTXENT", "nt_xent"), ("NT-Xent loss", "nt_xent"), ("Khosla", "supcon"),
        ("1503.03832", "triplet"), ("bpr", "bpr"), ("triplet loss", "triplet"), ("contrastive loss", "contrastive"),
        ("Hadsell", "contrastive"), ("N-pair", "n_pair"), ("multiclass n-pair loss", "n_pair"), ("tuplet", "n_pair"),
        ("circle", "circle"), ("MS loss", "multi_similarity"), ("multi-similarity miner", "multi_similarity"),
        ("lifted structured embedding", "lifted_structure"), ("angular loss", "angular_triplet"),
        ("ProxyNCA++", "proxy_nca"), ("proxy nca loss", "proxy_nca"), ("Proxy-Anchor", "proxy_anchor"),
        ("ArcFace", "arcface"), ("additive angular margin", "arcface"), ("CosFace loss", "cosface"),
        ("large margin cosine", "cosface"), ("AM-Softmax", "cosface"), ("NormFace", "cosface"),
        ("normalized softmax", "cosface"),
        ("batch hard", "batch_hard"), ("semihard", "batch_hard"), ("soft-margin triplet", "batch_hard"),
        ("Barlow Twins loss", "barlow_twins"), ("redundancy reduction", "barlow_twins"), ("VICReg", "vicreg"),
        ("variance invariance covariance", "vicreg"), ("W-MSE", "w_mse"), ("wmse", "w_mse"), ("BYOL loss", "byol"),
        ("bootstrap your own latent", "byol"), ("SimSiam", "simsiam"), ("stop gradient", "simsiam"),
        ("debiased contrastive loss", "debiased"), ("HCL", "hcl"), ("hard negative contrastive", "hcl"),
        ("Robinson", "hcl"), ("uniformity", "align_uniform"), ("spectral contrastive loss", "spectral_contrastive"),
    ],
)  # fmt: skip
def test_the_best_answer_comes_first(text: str, first: str):
    assert keys(text)[0] == first


def test_all_words_must_occur_and_relations_count():
    assert "dcl" in keys("denominator positive")
    assert set(keys("triplet hinge")) <= set(keys("triplet"))
    assert keys("no such words at all") == []
    assert keys("losses") == keys("")
    assert keys("*+[(") == keys("")


def test_a_family_narrows_to_itself():
    parts = [set(keys(family=family)) for family in FAMILIES]
    assert set.union(*parts) == EVERY
    assert sum(map(len, parts)) == len(EVERY)
    assert set(keys(family="hinge")) == {entry.key for entry in LOSSES if entry.family == "hinge"}


@pytest.mark.parametrize("have", [("pairs",), ("pairs", "labels"), ("labels",), ("modalities",), tuple(WORDS)])
def test_what_one_has_covers_what_is_needed(have: tuple[str, ...]):
    names = {name for each in have for name in HAVE.get(each, ())}
    known = {name for names in HAVE.values() for name in names}
    expected = {
        entry.key
        for entry in LOSSES
        if all(name in names or (name not in known and OTHERS in have) for name in entry.needed_of_a_run)
    }
    assert set(keys(have=have)) == expected


def test_having_more_never_loses_a_loss():
    assert set(keys(have=("pairs",))) < set(keys(have=("pairs", "labels")))
    assert "supcon" not in keys(have=("pairs",))
    assert "info_nce" in keys(have=("views",))
    assert set(keys(have=tuple(WORDS))) == EVERY


@pytest.mark.parametrize("key", LOSSES.keys())
def test_what_a_loss_asks_for_is_enough_for_it(key: str):
    entry = LOSSES[key]
    assert asked(entry)
    assert covered(entry, asked(entry))
    assert not covered(entry, ())
    assert len(meanings(entry.needed)) == len(entry.needed)


def test_the_groups_name_real_inputs_and_have_words():
    assert {name for names in HAVE.values() for name in names} <= set(VOCABULARY)
    assert set(WORDS) == {*HAVE, OTHERS}
    assert all(holders(name) for name in VOCABULARY)


@pytest.mark.parametrize(("text", "read"), [("NT-Xent", "nt xent"), ("  Müller,  2020 ", "muller 2020"), ("—", "")])
def test_text_is_read_plainly(text: str, read: str):
    assert plain(text) == read
