"""MoCHi, of an unofficial implementation; the others of their authors' own code."""

import torch
import torch.nn.functional as F

from core.diagnostics.score_record import score_record
from core.losses.beclr import BECLR, beclr
from core.losses.feature_transform import FeatureTransform, feature_transform
from core.losses.hiclr import HiCLR
from core.losses.interclr import InterCLR, interclr
from core.losses.mochi import MoCHi, mochi
from core.losses.moco import MoCo, moco
from core.losses.registry import LOSSES
from core.paid import Paid
from core.procedures.sinkhorn import Sinkhorn, sinkhorn
from core.procedures.transport import Transport, transport
from core.streams import stream
from core.vocabulary import VOCABULARY
from tests.golden.families import Family, Golden, close, close_gradients, leaf

RAISED = 0.1  # what their code adds to a smoothing that overflows


def mixed_negatives(z: Golden, case: str) -> None:
    """With the stored draws, which name the hardest by their place among the hardest; without any it is MoCo."""
    size = case.split("_")[0]
    a, k, queue, hard = leaf(z[f"{size}_q"]), z[f"{size}_k"], z[f"{size}_queue"], z[f"{size}_hard_idx"]
    tau = float(z["tau"])
    close(moco(a, k, queue, MoCo(temperature=tau)).total(), z[f"{size}_loss_moco"])
    chosen = torch.topk(a @ queue.T, int(z["N_hard"])).indices.sort(dim=1).values
    close(chosen, hard)
    paid = mochi(
        a,
        k,
        queue,
        picks=hard.gather(1, z[f"{size}_mix_i"]),
        other_picks=hard.gather(1, z[f"{size}_mix_j"]),
        pick_share=z[f"{size}_alpha"],
        own_picks=hard.gather(1, z[f"{size}_mixq_j"]),
        own_share=z[f"{size}_beta"],
        fixed=a.detach(),
        p=MoCHi(temperature=tau),
    )
    close(paid.pairs[0].scores / tau, z[f"{size}_logits"])
    close(paid.total(), z[f"{size}_loss"])
    close_gradients(z, paid.total(), {f"{size}_gq": a})


def hierarchy(z: Golden, case: str) -> None:
    """Their embeddings are normalised inside; nnm1 is with one mined neighbour of each view."""
    size = case.split("_")[0]
    raw = {name: leaf(z[f"{size}_{name}"]) for name in ("q", "q1", "q2")}
    given = {
        "views": torch.stack([F.normalize(value, dim=1) for value in raw.values()]),
        "teacher": F.normalize(z[f"{size}_k"], dim=1),
        "bank": z[f"{size}_queue_DxK"].T,
    }
    paid = LOSSES["hiclr"].pay(given, HiCLR(temperature=0.07, nearest=int("nnm1" in case)), stream(0))
    for name, term in zip(("loss1", "loss2", "loss3"), paid.terms.values(), strict=True):
        close(term.per.mean(), z[f"{case}_{name}"])
    close(paid.total(), z[f"{case}_loss"])
    close_gradients(z, paid.total(), {f"{case}_grad_{name}": value for name, value in raw.items()})


def transformed(z: Golden, case: str) -> None:
    """With the stored draws, of which their code uses the last, and holds those by coordinate in float32."""
    size = case.split("_")[0]
    a, bank = leaf(z[f"{size}_q"]), z[f"{size}_memory"]
    positive, negative = ("beta4", "beta5") if "posneg" in case else ("beta0", "beta0")
    stretch = 1 + z[f"{case}_{positive}"] if "pos" in case else torch.ones(())
    share = z[f"{case}_{negative}"] if "neg" in case else torch.ones(())
    p = FeatureTransform(temperature=0.2, normalise=case.endswith("norm1"))
    paid = feature_transform(
        a,
        z[f"{size}_k"],
        bank,
        stretch=(stretch if stretch.ndim == 0 else stretch.float()).expand_as(a),
        bank_partner=z.get(f"{case}_perm0", torch.arange(len(bank))),
        bank_share=(share if share.ndim == 0 else share.float()).expand_as(bank),
        p=p,
    )
    close(paid.pairs[0].scores / p.temperature, z[f"{case}_logits"])
    close(score_record(paid.pairs[0], temperature=p.temperature), z[f"{case}_score"])
    close(paid.total(), z[f"{case}_loss"])
    close_gradients(z, paid.total(), {f"{case}_grad_q": a})


def other_items(z: Golden, case: str) -> None:
    """With the stored places; the cluster of item i is the one that its stored positive has."""
    size, sampling, m = case.split("_")
    q = leaf(z[f"{size}_q"])
    p = InterCLR(temperature=0.2, margin=float(m.removeprefix("m")), sampling=sampling)
    given = {
        "a": F.normalize(q, dim=1),
        "teacher": F.normalize(z[f"{size}_k"], dim=1),
        "bank": z[f"{size}_queue_DxK"].T,
        "memory": z[f"{size}_bank_MxD"],
        "clusters": z[f"{size}_bank_labels"][z[f"{case}_pos_idx"]],
        "memory_clusters": z[f"{size}_bank_labels"],
    }
    paid = interclr(**given, memory_positive=z[f"{case}_pos_idx"], memory_picks=z[f"{case}_neg_idx"], p=p)
    close(paid.terms["intra"].per.mean(), z[f"{case}_intra"])
    close(paid.terms["inter"].per.mean(), z[f"{case}_inter"])
    close(paid.total(), z[f"{case}_loss"])
    close_gradients(z, paid.total(), {f"{case}_grad_q": q})
    if sampling == "hard":
        made = LOSSES["interclr"].complete(given, p, stream(0))
        close(made["memory_picks"].sort().values, z[f"{case}_neg_idx"].sort().values)


def spread_views(z: Golden, size: str, sides: str, students: dict[str, torch.Tensor]) -> Paid:
    """Two views, stacked in theirs, where they are normalised inside; no memory."""
    two = {name: F.normalize(value, dim=1).unflatten(0, (2, -1)) for name, value in students.items()}
    taught = z[f"{size}_zt"].unflatten(0, (2, -1))
    p = BECLR(temperature=float(z["temp"]), repulsion=float(z["lamb_neg"]), sides=sides)
    none = torch.zeros(*taught.shape[:2], 0, dtype=torch.int64)
    return beclr(two["gp"], two["gzs"], teacher_views=taught, bank=taught[0], memory_neighbours=none, p=p)


def memory_of_clusters(z: Golden, case: str) -> None:
    """The loss with each choice of sides; the assignment with either sign; the transported prototypes."""
    size, kind = case.split("_", 1)
    if kind == "ot":
        close(transport(z[f"{size}_ot_sup"], z[f"{size}_ot_query"], Transport(**plan_of(z))), z[f"{size}_ot_out"])
    elif kind == "sk":
        distance = torch.cdist(z[f"{size}_sk_z"], z[f"{size}_sk_c"])
        close(distance, z[f"{size}_sk_dist"])
        for name, asked in {
            "eps0.05": Sinkhorn(epsilon=0.05, assign_sign="official"),
            "eps1e-05": Sinkhorn(epsilon=1e-5 + RAISED, assign_sign="official"),
        }.items():
            close(sinkhorn(distance, asked), z[f"{size}_sk_Q_{name}"])
        close(sinkhorn(distance, Sinkhorn(epsilon=0.05)), z[f"{size}_sk_Q_negdist"])
    else:
        assert bool(z[f"{size}_gzt_is_none"]) == VOCABULARY["teacher_views"].constant
        students = {"gp": leaf(z[f"{size}_p"]), "gzs": leaf(z[f"{size}_zs"])}
        for sides in ("TT", "ST"):
            close(spread_views(z, size, sides, students).total(), z[f"{size}_loss_{sides}"])
        paid = spread_views(z, size, "SS", students)
        close(paid.terms["attraction"].value(), z[f"{size}_pos"])
        close(paid.terms["repulsion"].per, z[f"{size}_neg"])
        close(paid.total(), z[f"{size}_loss"])
        close_gradients(z, paid.total(), {f"{size}_{name}": value for name, value in students.items()})


def plan_of(z: Golden) -> dict[str, float]:
    return {
        "epsilon": float(z["ot_reg"]),
        "iterations": int(z["ot_maxiter"]),
        "tolerance": float(z["ot_thresh"]),
    }


FAMILIES = (
    Family(
        "mochi",
        r"tau|N_hard|s|s_prime|source",
        r"((?:N|bs?)\d+)_\w+",
        mixed_negatives,
    ),
    Family(
        "hiclr",
        r"meta_json|(?:N|bs?)\d+_(?:q|q1|q2|k|queue_DxK)",
        r"((?:N|bs?)\d+_nnm\d)_\w+",
        hierarchy,
    ),
    Family(
        "feature_transform",
        r"meta_json|(?:N|bs?)\d+_(?:q|k|memory)",
        r"((?:N|bs?)\d+_(?:pos|neg|posneg)_norm\d)_(?!beta)\w+|((?:N|bs?)\d+_(?:pos|neg)_norm\d)_beta0"
        r"|((?:N|bs?)\d+_posneg_norm\d)_beta[45]",
        transformed,
        left_out={r"(?:N|bs?)\d+_posneg_norm\d_beta[0-3]": "draws that their own code makes and then discards"},
    ),
    Family(
        "interclr",
        r"meta_json|(?:N|bs?)\d+_(?:q|k|queue_DxK|bank_MxD|bank_labels)",
        r"((?:N|bs?)\d+_(?:random|hard|semihard|semieasy)_m-?[\d.]+)_\w+",
        other_items,
    ),
    Family(
        "beclr",
        r"temp|lamb_neg|ot_reg|ot_maxiter|ot_thresh",
        r"((?:N|bs?)\d+_sk)_\w[\w.-]*|((?:N|bs?)\d+_ot)_\w+"
        r"|((?:N|bs?)\d+_)(?:zt|p|zs|loss|pos|neg|gp|gzs|gzt_is_none|loss_TT|loss_ST)",
        memory_of_clusters,
    ),
)
