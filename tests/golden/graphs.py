"""Losses and procedures over graphs, tokens and teachers, of their authors' own code."""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.diagnostics.isotropy import isotropy
from core.losses.csgcl import CSGCL, csgcl
from core.losses.nt_xent import NTXent, nt_xent
from core.losses.pot_gcl import POTGCL, pot_gcl
from core.losses.simctg import SimCTG, simctg
from core.procedures.community import (
    CommunityAttributes,
    CommunityEdges,
    CommunityStrength,
    community_attributes,
    community_edges,
    community_strength,
    edge_weight,
    team_up_share,
)
from core.procedures.compactness import (
    Compactness,
    coefficients,
    compactness,
    own_direction,
    pre_activations,
    propagation,
    propagation_range,
)
from core.procedures.contrastive_search import ContrastiveSearch, contrastive_search
from tests.golden.families import Family, Golden, close, close_gradients, leaf


def unit(value: Tensor) -> Tensor:
    return F.normalize(value, dim=-1)


def grace(z: Golden, case: str) -> None:
    h1, h2 = leaf(z[f"{case}h1"]), leaf(z[f"{case}h2"])
    paid = nt_xent(unit(h1), unit(h2), NTXent(temperature=float(z["tau"]))).total()
    close(paid, z[f"{case}grace_loss"])
    close_gradients(z, paid, {f"{case}grace_gh1": h1, f"{case}grace_gh2": h2})


def provable(z: Golden, case: str) -> None:
    """Their network, two graph convolutions with ReLU and a projection, trained by what is registered here."""
    own = {name.removeprefix(case): value for name, value in z.items() if name.startswith(case)}
    x, graph, drops = own["x"], own["A"], [float(z["drop1"]), float(z["drop2"])]
    w1, b1, w2, b2 = trained = [leaf(own[name]) for name in ("W1", "b1", "W2", "b2")]

    def encoded(seen: Tensor) -> tuple[Tensor, Tensor]:
        step = propagation(seen.float())
        out = F.relu(step @ F.relu(step @ x @ w1.T + b1) @ w2.T + b2)
        inner = F.elu(out @ own["fc1_w"].T + own["fc1_b"])
        return out, unit(inner @ own["fc2_w"].T + own["fc2_b"])

    (z1, h1), (z2, h2) = encoded(own["A1"]), encoded(own["A2"])
    close(z1, own["z1"])
    close(z2, own["z2"])
    sides = (("A1", z2, drops[0]), ("A2", z1, drops[1]))
    scores = torch.stack(
        [
            compactness(x, graph, own[view], (w1, w2), (b1, b2), other, Compactness(drop=drop))
            for view, other, drop in sides
        ]
    )
    close(scores[0], own["pot_score1"])
    p = Compactness(drop=drops[0], bound="per_node")
    close(compactness(x, graph, own["A1"], (w1, w2), (b1, b2), z2, p), own["own_weight_score1"])
    close((z1 * own_direction(z2)).sum(dim=1), own["true_score1"])
    ask = POTGCL(temperature=float(z["tau"]), regulariser=float(z["kappa"]))
    paid = pot_gcl(h1, h2, scores, ask)
    close(paid.terms["contrast"].per.mean(), own["nce"])
    by_side = paid.terms["compactness"].per.unflatten(0, (2, -1)).mean(dim=1)
    close(by_side, torch.stack([own["pot1"], own["pot2"]]))
    close(paid.total(), own["total"])
    names = (f"{case}gW1", f"{case}gb1", f"{case}gW2", f"{case}gb2")
    close_gradients(z, paid.total(), dict(zip(names, trained, strict=True)))


def ranges(z: Golden, case: str) -> None:
    """Bounds of the graph and of both layers before their activations, and the coefficients made of them."""
    own = {name.removeprefix(case): value for name, value in z.items() if name.startswith(case)}
    low, high = propagation_range(own["A"].float(), float(z["drop1"]))
    close(low, own["AL"])
    close(high, own["AU"])
    first = own["x"] @ own["W1"].T
    hidden = F.relu(propagation(own["A"].float()) @ first + own["b1"])
    for layer, mapped in (("1", first), ("2", hidden @ own["W2"].T)):
        found = pre_activations(low, high, mapped, own[f"b{layer}"])
        for mine, name in zip(found, (f"l{layer}", f"u{layer}"), strict=True):
            close(mine, own[name])
    weights, biases = (own["W1"], own["W2"]), (own["b1"], own["b2"])
    found = coefficients(own["x"], own["A"], weights, biases, own["z2"], Compactness(drop=float(z["drop1"])))
    for layer, (times, plus) in zip(("2", "1"), found, strict=True):
        close(times, own[f"Wt{layer}"])
        close(plus, own[f"bt{layer}"])


def nodes(z: Golden, case: str) -> None:
    """The contrast alone, or the network with its ranges, coefficients and gradients."""
    if case.endswith("grace"):
        grace(z, case.removesuffix("grace"))
    else:
        provable(z, case)
        ranges(z, case)


def communities(z: Golden, case: str) -> None:
    edges, community = z["karate_edges"], z["karate_com"]
    graph = torch.zeros(len(community), len(community), dtype=torch.float64).index_put_(
        tuple(edges), torch.tensor(1.0, dtype=torch.float64)
    )
    strength = community_strength(graph, community, CommunityStrength())
    close(strength, z["karate_node_cs"])
    close(strength, z["karate_com_cs"][community])
    kind, share = case.split("_p")
    drop = float(share)
    weight = edge_weight(edges, community, strength)
    close((weight - weight.amin()) / (weight.amax() - weight.amin()), z["karate_edge_weight"])
    if kind == "karate_ced_keep":
        close(community_edges(edges, community, strength, CommunityEdges(drop=drop)), z[case])
    else:
        asks = CommunityAttributes(drop=drop, most=0.7)
        close(community_attributes(z["karate_cav_X"], strength, asks), z[case])


def team_up(z: Golden, case: str) -> None:
    """Their contrast without strength, and with what strength counts at an epoch."""
    size, kind = case.split("_", 1)
    epoch = 0.0 if kind == "infonce" else float(kind.removeprefix("teamup_ep"))
    share = team_up_share(epoch, float(z["t0"]), float(z["gamma_max"]))
    h1, h2 = leaf(z[f"{size}_h1"]), leaf(z[f"{size}_h2"])
    p = CSGCL(temperature=float(z["tau"]), team_up=share)
    paid = csgcl(unit(h1), unit(h2), z[f"{size}_cs"], p).total()
    close(paid, z[case])
    close_gradients(z, paid, {f"{case}_g1": h1, f"{case}_g2": h2})


def team_up_or_communities(z: Golden, case: str) -> None:
    (communities if case.startswith("karate") else team_up)(z, case)


def tokens(z: Golden, case: str) -> None:
    """Their contrast of tokens by margin, the isotropy of one text, and what each penalty picks."""
    size, kind = case.split("_", 1)
    h, here = leaf(z[f"{size}_h"]), z[f"{size}_ids"] != 0
    if kind.startswith("sel"):
        asks = ContrastiveSearch(penalty=float(kind.removeprefix("sel_a")))
        scores = contrastive_search(*(z[f"{size}_{name}"] for name in ("ctx", "next", "topk_p")), asks)
        assert torch.equal(scores.argmax(dim=1), z[case])
    elif kind == "isotropy_row0":
        close(torch.tensor(isotropy(unit(h)[:1]), dtype=torch.float64), z[case])
    else:
        margin = 0.5 if kind == "cl" else float(kind.removeprefix("m"))
        paid = simctg(unit(h), SimCTG(margin=margin), mask=here).total()
        close(paid, z[case if kind == "cl" else f"{case}_loss"])
        if kind != "cl":
            close_gradients(z, paid, {f"{case}_g": h})


SIZED = r"(?:N|bs?)\d+_"
FAMILIES = (
    Family(
        "pot_gcl",
        rf"tau|kappa|drop[12]|{SIZED}(?:x|A|A1|A2|W1|b1|W2|b2|fc\d_[wb]|h[12])",
        rf"({SIZED}grace)_\w+|({SIZED})(?:[zlu][12]|nce|pot[12]|total|g[Wb][12]|\w+_score1|[Wb]t[12]|A[UL])",
        nodes,
    ),
    Family(
        "csgcl",
        rf"tau|t0|gamma_max|karate_(?:edges|com|com_cs|node_cs|cav_X|edge_weight)|{SIZED}(?:h1|h2|cs)",
        rf"({SIZED}(?:infonce|teamup_ep\d+))(?:_g[12])?|(karate_(?:ced_keep|cav_drop)_p[\d.]+)",
        team_up_or_communities,
    ),
    Family(
        "contrastive_search",
        rf"beam_width|{SIZED}(?:h|ids|ctx|next|topk_p)",
        rf"({SIZED}(?:m[\d.]+(?=_)|cl|isotropy_row0|sel_a[\d.]+))(?:_loss|_g)?",
        tokens,
        left_out={
            rf"{SIZED}(?:logits|labels|mle|glogits)": "the likelihood of a language model, which contrasts nothing"
        },
    ),
)
