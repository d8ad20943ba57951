"""Candidates' scores, log-likelihoods, augmenters, parallel heads and mixed targets, mostly of their authors' code."""

from core.losses.dcd import DCD
from core.losses.registry import LOSSES
from core.losses.sft_vs_cl import RerankUnified, hold_weights
from core.streams import stream
from tests.golden.families import Family, Golden, close, close_gradients, leaf

OF_SIZE = r"(?:N|bs?)\d+"


def size_of(case: str) -> str:
    return case.split("_", 1)[0]


def reranked(z: Golden, case: str) -> None:
    """Softmax and yes or no, and each weight with each direction, the weights made by the plan."""
    size = size_of(case)
    given = {"candidate_scores": leaf(z[f"{size}_zy"]), "refusal_scores": leaf(z[f"{size}_zn"])}
    if "_W" in case and "_url" not in case:
        weigh = "softmax" if case.endswith("Wcl") else "sigmoid"
        close(hold_weights(given, RerankUnified(weigh=weigh), stream(0))["held_weight"], z[case])
        return
    key = next((key for name, key in {"_cl": "rerank_cl", "_sft": "rerank_sft"}.items() if case.endswith(name)), None)
    if "_url" in case:
        weigh = {"cl": "softmax", "sft": "sigmoid", "base": "constant"}[case.split("_W")[1].split("_D")[0]]
        entry, p = (
            LOSSES["rerank_unified"],
            RerankUnified(weigh=weigh, direction="yes" if case.endswith("Dcl") else "yes_over_no"),
        )
    else:
        assert key
        entry = LOSSES[key]
        p = entry.params(**({"reduction": "sum_docs"} if key == "rerank_sft" else {}))
    asked = {name: given[name] for name in entry.needed}
    value = entry.pay(asked, p, stream(0)).total()
    close(value, z[f"{case}_loss" if f"{case}_loss" in z else f"{case}_loss_sumdocs"])
    held = zip((f"{case}_gzy", f"{case}_gzn"), given.values(), strict=True)
    close_gradients(z, value, {name: x for name, x in held if name in z})


def distilled(z: Golden, case: str) -> None:
    """The released reduction, in which the weights of the distillation cancel; and the soft labels."""
    size = size_of(case)
    y, t = leaf(z[f"{size}_student"]), z[f"{size}_teacher"]
    soft = case.endswith("_wsl")
    asked = DCD(form="soft_label" if soft else "entropy", as_released=True)
    paid = LOSSES["dcd"].pay({"candidate_scores": y, "teacher_scores": t}, asked, stream(0))
    close(paid.total(), z[f"{case}_loss"])
    close_gradients(z, paid.total(), {f"{case}_grad_student": y})
    close(paid.terms["distillation"].value() / 0.2, z[f"{case}_d_loss"])
    if not soft:
        close(paid.terms["answer"].value() / 0.8, z[f"{size}_nll"])
        close((y - t).square().mean(), z[f"{size}_plain_mse"])


FAMILIES = (
    Family(
        "sft_vs_cl",
        rf"source|{OF_SIZE}_z[yn]",
        rf"({OF_SIZE}_(?:cl|sft|W(?:cl|sft)|url_W\w+_D(?:cl|sft)))(?:_loss|_loss_sumdocs|_gz[yn])?",
        reranked,
    ),
    Family(
        "dcd",
        rf"meta_json|{OF_SIZE}_(?:student|teacher)",
        rf"({OF_SIZE}_wsl)_\w+|({OF_SIZE})_(?:loss|d_loss|nll|plain_mse|grad_student)",
        distilled,
    ),
)
