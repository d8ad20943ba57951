import pytest

from core.diagnostics.registry import DIAGNOSTICS, DiagnosticEntry, diagnostic

ENTRIES = [pytest.param(entry, id=entry.key) for entry in DIAGNOSTICS]


@pytest.mark.parametrize("entry", ENTRIES)
def test_each_says_what_it_is_which_values_it_takes_and_what_chance_gives(entry: DiagnosticEntry):
    for text in (entry.title, entry.source, entry.values, entry.chance, entry.summary):
        assert text.strip()
    assert entry.params().kind == entry.key
    assert entry.params.model_json_schema()["properties"]["kind"]["const"] == entry.key


def test_keyword_arguments_are_the_params():
    assert DIAGNOSTICS["knn"].params().k == 5
    assert DIAGNOSTICS["histogram"].params().model_dump() == {"kind": "histogram", "bins": 61, "low": -1, "high": 1}
    assert set(DIAGNOSTICS["alignment"].params.model_fields) == {"kind"}


def test_what_the_issue_asks_for_is_there():
    asked = "histogram force motion share_by_hardness share_of_hardest alignment uniformity effective_rank spectrum "
    asked += "modality_gap knn linear_probe retrieval missing_modalities pca umap trustworthiness structure collapsed "
    asked += "dead_margin progress mixed_activity hardness_curve partner_probability expected_push pair_phase "
    asked += "little_far resting_similarity released_margin margin_left broadcast_hinge"
    assert set(asked.split()) <= set(DIAGNOSTICS.keys())


def test_a_function_keeps_its_own_name_and_a_key_is_taken_once():
    def twice(x: float, *, factor: float = 2.0) -> float:
        """Twice the number."""
        return factor * x

    words = {"title": "Twice", "source": "arithmetic", "values": "any", "chance": "none"}
    try:
        assert diagnostic("twice", **words)(twice) is twice
        assert DIAGNOSTICS["twice"].params(factor=3.0).factor == 3
        with pytest.raises(ValueError, match="registered twice"):
            diagnostic("twice", **words)(twice)
    finally:
        DIAGNOSTICS.remove("twice")
