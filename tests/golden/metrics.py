"""The metrics of the released systems: retrieval, recommendation, regression with a sign."""

import pytest
import torch

from core.diagnostics.recommending import by_user
from core.diagnostics.regression import signed_regression
from core.diagnostics.retrieval import places, summarise_as_released
from tests.golden.families import SIZE, Family, Golden, same

USER = {"nDCG": "ndcg", "MAP": "map_inside", "Recall": "recall", "HitRatio": "hit"}
SIGN = {"mae": "mae", "corr": "correlation", "acc": "accuracy", "f1": "f1_released", "f1_swapped": "f1"}


def retrieval(z: Golden, case: str) -> None:
    scores = z[f"S{case[3:]}"]
    found = places(scores if case.startswith("a2b") else scores.T)
    same(found.rank().double() - 1, z[f"{case}_ranks"].double())
    r = summarise_as_released(found)
    mine = torch.tensor([r.r1, r.r5, r.r10, r.r50, r.median_rank, r.mean_rank, r.total], dtype=torch.float64)
    same(mine, z[f"{case}_metrics"].double())


def recommendation(z: Golden, case: str) -> None:
    wanted = z["y"] != 0
    columns = []
    for name in z["names"]:
        metric, k = name.split("@")
        columns.append(by_user(z["score"], wanted, int(k))[USER[metric]])
    found = torch.stack(columns, dim=1)
    same(found if case == "per_user" else found.mean(dim=0), z[case])


def sentiment(z: Golden, case: str) -> None:
    found = signed_regression(z["pred"], z["truth"])
    assert getattr(found, SIGN[case]) == pytest.approx(float(z[case]), rel=0, abs=1e-10)


FAMILIES = (
    Family(f"dmm_retrieval_metrics{SIZE}", r"S\d+", r"((?:a2b|b2a)\d+)_(?:ranks|metrics)", retrieval),
    Family(f"dmm_cml_metrics{SIZE}", r"y|score|names", r"(per_user|mean)", recommendation),
    Family(f"dmm_gmc_metrics{SIZE}", r"pred|truth", r"(mae|corr|f1|f1_swapped|acc)", sentiment),
)
