"""Candidates' scores, log-likelihoods, augmenters, parallel heads and mixed targets, mostly of their authors' code."""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.dcd import DCD
from core.losses.mclrec import MCLRec, mclrec, spread
from core.losses.pdf_mim import GaussianFit, gaussian_fit
from core.losses.registry import LOSSES
from core.losses.sft_vs_cl import RerankUnified, hold_weights
from core.losses.supremix import SupReMix, released_shift, supremix
from core.losses.svco import SVCO, svco
from core.losses.vclub import VCLUB, vclub
from core.procedures.supremix import SupReMixMixtures, supremix_mixtures
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
            RerankUnified(weigh=weigh, direction="yes" if case.endswith("Dcl") else "lead"),
        )
    else:
        assert key
        entry = LOSSES[key]
        p = entry.params(**({"reduction": "sum"} if key == "rerank_sft" else {}))
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


IMAGES = ("ic", "ir", "no")
TEXTS = ("rc", "rr")
PARTS = {
    "img_win_vs_no_img": ("attend", 0),
    "no_img_vs_img_lose": ("reject", 0),
    "img_lose_vs_no_img": ("attend", 1),
    "no_img_vs_img_win": ("reject", 1),
}


def preferred(z: Golden, size: str) -> None:
    """All six log-likelihoods; each of the four parts is the mean over the texts that pay it."""
    names = [[f"{image}_{text}" for image in IMAGES] for text in TEXTS]
    policy = {name: leaf(z[f"{size}_policy_{name}"]) for text in names for name in text}
    now, then = (
        torch.stack([torch.stack([held[name] for name in text]) for text in names])
        for held in (policy, {name: z[f"{size}_ref_{name}"] for name in policy})
    )
    paid = svco(now, then, SVCO())
    close(paid.total(), z[f"{size}_loss"])
    close_gradients(z, paid.total(), {f"{size}_grad_policy_{name}": x for name, x in policy.items()})
    for part, (term, text) in PARTS.items():
        close(paid.terms[term].per.unflatten(0, (2, -1))[text].mean(), z[f"{size}_{part}_loss"])


def augmented(z: Golden, size: str) -> None:
    """The three contrasts with augmentations and a tenth of the regulariser by rows; and both parts alone."""
    given = {name: leaf(z[f"{size}_{name}"]) for name in ("h1", "h2", "z1", "z2")}
    asked = MCLRec(encoded=0, augmented=1, regulariser=0.1, as_released=True)
    paid = mclrec(*given.values(), p=asked)
    close(paid.total(), z[f"{size}_loss_cl2_plus_reg"])
    close_gradients(z, paid.total(), {f"{size}_grad_{name}": x for name, x in given.items()})
    close(paid.terms["regulariser"].value(), z[f"{size}_reg_0.1xR"])
    close(paid.terms["encoded"].per.mean(), z[f"{size}_infonce_h1h2"])
    close(spread(paid.pairs[1], whole=False).mean(), z[f"{size}_R_z1z2"])


def bounded(z: Golden, size: str) -> None:
    """The predictor is the stored one: two small nets, that of the log variance ends in a tanh."""
    x, y = leaf(z[f"{size}_x"]), leaf(z[f"{size}_y"])

    def predicted(net: str) -> Tensor:
        first, last = ((z[f"{size}_param_{net}.{n}.weight"], z[f"{size}_param_{net}.{n}.bias"]) for n in (0, 2))
        return F.linear(F.linear(x, *first).relu(), *last)

    said = (predicted("p_mu"), predicted("p_logvar").tanh())
    value = vclub(y, *said, p=VCLUB()).total()
    close(value, z[f"{size}_mi"])
    close_gradients(z, value, {f"{size}_grad_x": x, f"{size}_grad_y": y})
    close(gaussian_fit(y, *said, p=GaussianFit()).total(), z[f"{size}_learning_loss"])


def regressed(z: Golden, size: str, case: str, exact: bool) -> tuple[Tensor, Tensor]:
    """The features, and the loss with the stored mixtures, or with none, as released."""
    features = leaf(z[f"{size}_features"] if exact else z[f"{size}_features"].float())
    targets = z[f"{size}_labels"][:, 0].to(features.dtype)
    a, b = features.unbind(1)
    kept = (
        [z[f"{case}_{name}"] for name in ("mixtures", "mixlabel", "mask")]
        if f"{case}_mixtures" in z
        else [torch.zeros(2 * len(a), 0, a.shape[1]), torch.zeros(2 * len(a), 0), torch.zeros(2 * len(a), 0)]
    )
    mixed, labels, role = (value.to(features.dtype) for value in kept)
    p = SupReMix(temperature=0.5, distance=not case.endswith("_w0"), as_released=True)
    shift = released_shift(torch.cat([a, b]).detach(), mixed, p)
    made = {"synthetic": mixed, "synthetic_targets": labels, "synthetic_role": role.long(), "synthetic_shift": shift}
    made = {name: value.unflatten(0, (2, len(a))) for name, value in made.items()}
    return features, supremix(a, b, targets, **made, p=p).total()


def same_set(mine: Tensor, theirs: Tensor) -> None:
    """The same rows in any order, told apart by their inner product with one direction."""
    towards = torch.linspace(-1, 2, theirs.shape[1], dtype=theirs.dtype)
    close(mine.float()[(mine.float() @ towards).argsort()], theirs[(theirs @ towards).argsort()])


def remade(z: Golden, size: str, case: str) -> tuple[Tensor, Tensor, Tensor]:
    """All mixtures, by the procedure, with the shares that the stored labels of the mixtures tell, where they do."""
    features, y = z[f"{size}_features"].float(), z[f"{size}_labels"][:, 0].float().repeat(2)
    anchors = len(y)
    everything = SupReMixMixtures(window=5, negatives_each=anchors, positives_each=anchors * anchors)
    share, place = torch.full((anchors, anchors), 0.2), torch.arange(anchors)
    if case.endswith("_raw"):
        labels = z[f"{case}_mixlabel"].unflatten(1, (anchors, anchors))[place, place]
        share = (labels - y) / (y[:, None] - y).where(y[:, None] != y, 1)
    order = torch.rand((anchors, anchors), generator=stream(0))
    return supremix_mixtures(torch.cat(features.unbind(1)), y, share, order, everything)


def mixed(z: Golden, case: str) -> None:
    """With mixtures in float32, as released, and how many there are; without any in float64.

    Where the file holds no mixtures, since they would be too large, their number is all that can be held to it.
    """
    size = size_of(case)
    if "supcon" in case:
        features, value = regressed(z, size, case, exact=True)
        close(value, z[f"{case}_loss"])
        close_gradients(z, value, {f"{case}_grad_features": features})
        return
    made, _, role = remade(z, size, case)
    if case.endswith("_raw"):
        assert int(z[f"{case}_nmix"]) == len(role) ** 2
    else:
        assert int(z[f"{case}_nmix"]) == (role >= 0).sum(dim=1).max()
    if f"{case}_mixtures" not in z:
        return
    features, value = regressed(z, size, case, exact=False)
    close(value, z[f"{case}_loss"].float())
    close_gradients(z, value, {f"{case}_grad_features": features})
    if case.endswith("_raw"):
        for i, stored in enumerate(z[f"{case}_mask"]):
            for kind in (0,) if "negonly" in case else (0, 1):
                same_set(made[i][role[i] == kind], z[f"{case}_mixtures"][i][stored == kind])


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
    Family(
        "svco",
        "meta_json",
        rf"({OF_SIZE})_(?:loss|\w+_loss|(?:grad_)?policy_\w+|ref_\w+)",
        preferred,
    ),
    Family(
        "mclrec",
        "meta_json",
        rf"({OF_SIZE})_(?:(?:grad_)?[hz][12]|loss_cl2_plus_reg|reg_0.1xR|infonce_h1h2|R_z1z2)",
        augmented,
    ),
    Family("pdf_vclub", "meta_json", rf"({OF_SIZE})_(?:param_.+|(?:grad_)?[xy]|mi|learning_loss)", bounded),
    Family(
        "supremix",
        rf"meta_json|{OF_SIZE}_(?:features|labels)",
        rf"({OF_SIZE}_(?:supcon_w[01]|\w+_raw|full_authorcompress))_\w+",
        mixed,
    ),
)
