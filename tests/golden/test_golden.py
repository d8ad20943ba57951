"""Numbers of the authors' own code: values and gradients, one test for each case in each file.

GOLDEN_DIR may name another flat folder with files of the same names; every file of a family found there is tested. What
has to be there is judged on the folder of this file alone.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden.families import FOLDER, HOME, Family, load

MODULES = [
    importlib.import_module(f"tests.golden.{found.name}")
    for found in pkgutil.iter_modules([str(HOME)])
    if not found.name.startswith("test_")
]
FAMILIES = tuple(family for module in MODULES for family in getattr(module, "FAMILIES", ()))
LEFT_OUT = 2


def cases(folder: Path) -> Iterator[object]:
    for family in FAMILIES:
        named = [(file, family.case(name)) for file, name in family.arrays(folder)]
        for file, case in dict.fromkeys(named):
            if case:
                yield pytest.param(family, file, case, id=f"{file.stem}-{case}")


@pytest.mark.parametrize(("family", "file", "case"), list(cases(FOLDER)))
def test_equals_the_authors_numbers(family: Family, file: Path, case: str):
    family.check(load(file), case)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.files)
def test_every_array_is_an_input_or_in_a_case_or_left_out_for_a_reason(family: Family):
    found = [name for _, name in family.arrays(HOME)]
    left_out = family.left_out or {}
    assert found, f"no {family.files} in {HOME}"
    for name in found:
        places = [re.fullmatch(family.inputs, name), family.case(name), *(re.fullmatch(x, name) for x in left_out)]
        assert sum(map(bool, places)) == 1, name
    assert all(any(re.fullmatch(pattern, name) for name in found) for pattern in left_out)


def test_every_file_here_belongs_to_one_family():
    for file in HOME.glob("*.npz"):
        assert sum(bool(re.fullmatch(family.files, file.stem)) for family in FAMILIES) == 1, file.name


def test_what_is_left_out_is_counted():
    reasons = [reason for family in FAMILIES for reason in (family.left_out or {}).values()]
    assert len(reasons) == LEFT_OUT
    assert all(len(reason.split()) > 3 for reason in reasons)


def test_files_of_other_sizes_are_found_under_their_own_names(tmp_path: Path):
    """Nothing but the name of a file decides, and a folder with some of the files has the cases of these alone."""
    for size in ("N32", "b16", "bs4"):
        (tmp_path / f"dmm_gmc_{size}.npz").write_bytes((HOME / "dmm_gmc_N8.npz").read_bytes())
    assert [each.id for each in cases(tmp_path)] == ["dmm_gmc_N32-loss", "dmm_gmc_b16-loss", "dmm_gmc_bs4-loss"]
    assert len(list(cases(HOME))) > 60
    assert not list(cases(tmp_path / "none"))


@pytest.mark.parametrize(
    ("file", "case", "array", "by"),
    [
        ("dmm_ranking_N8", "ind_raw_mv0_norm1", "ind_raw_mv0_norm1_gv", 1e-9),
        ("dmm_cml_N8", "min_dml", "min_dml_gn", 1e-9),
        ("dmm_cml_N8", "sum_decay", "sum_decay_loss", 1e-9),
        ("dmm_cml_minclip_N8", "min_dml_fixed", "min_dml_fixed_gu", 1e-9),
        ("dmm_gmc_N8", "loss", "g_mix_audio", 1e-9),
        ("dmm_cycle_N8", "sent_s1_seed0", "loss_sent_s1_seed0", 1e-5),
        ("dmm_cml_metrics", "per_user", "per_user", 1e-9),
        ("dmm_gmc_metrics", "f1", "f1", 1e-9),
    ],
)
def test_a_wrong_number_is_noticed(file: str, case: str, array: str, by: float):
    (family,) = (family for family in FAMILIES if re.fullmatch(family.files, file))
    z = load(HOME / f"{file}.npz")
    with pytest.raises(AssertionError):
        family.check({**z, array: z[array] + by}, case)
