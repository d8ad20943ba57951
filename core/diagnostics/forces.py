"""What a loss does to each pair: the force on its score, the motion of every score, the gradient of every anchor.

*Force* is dL/ds: above 0 the score is pushed down, below 0 it is pulled up. *Motion* is the change of every score under
one small descent step of the embeddings on the sphere.
"""

import torch
from torch import Tensor

from core.diagnostics.arrays import share, unit_rows
from core.diagnostics.registry import diagnostic
from core.paid import Paid, Pairs, diagonal_roles


@diagnostic(
    "force",
    title="Force on each pair",
    source="dL/ds of the loss that is paid",
    origin="designed",
    values="any; above 0 pushes the pair apart, below 0 pulls it together",
    chance="none: it is a property of the loss at these scores",
)
def forces(paid: Paid) -> tuple[Tensor, ...]:
    """dL/ds of every score that took part, L the total that is paid.

    Args:
        paid: what the loss returned for embeddings with a gradient; its graph is kept.

    Returns:
        One tensor of the shape of the scores for each entry of `paid.pairs`; 0 where a score does not reach the total.

    Raises:
        ValueError: if the scores carry no graph.
    """
    scores = [pairs.scores for pairs in paid.pairs]
    if not all(s.requires_grad for s in scores):
        raise ValueError("got scores without a graph; call the loss on embeddings with requires_grad set")
    if not scores:
        return ()
    found = torch.autograd.grad(paid.total(), scores, retain_graph=True, allow_unused=True)
    return tuple(torch.zeros_like(s) if g is None else g for s, g in zip(scores, found, strict=True))


def gradients(total: Tensor, *embeddings: Tensor) -> tuple[Tensor, ...]:
    """dL/dz of each of the embeddings, (N, D) each; 0 for those that carry no graph or do not reach the total.

    Args:
        total: () what is paid; its graph is kept.
        embeddings: (N, D) each, the very tensors that the loss was called on.

    Raises:
        ValueError: if the total carries no graph.
    """
    if not total.requires_grad:
        raise ValueError("got a total without a graph; call the loss on embeddings with requires_grad set")
    moving = [z for z in embeddings if z.requires_grad]
    found = iter(torch.autograd.grad(total, moving, retain_graph=True, allow_unused=True) if moving else ())
    each = (next(found) if z.requires_grad else None for z in embeddings)
    return tuple(torch.zeros_like(z) if g is None else g for z, g in zip(embeddings, each, strict=True))


@diagnostic(
    "motion",
    title="Motion of each pair",
    source="first-order change of z_i.z_j under a descent step on the unit sphere",
    origin="designed",
    values="any; above 0 the pair comes together, below 0 it comes apart",
    chance="none: it is a property of the loss at these embeddings",
)
def motion(a: Tensor, b: Tensor, total: Tensor) -> Tensor:
    """Change of every score <a_i, b_j> for each unit of one small descent step, all embeddings moving at once.

    ds_ij = -(<g_i, b_j> + <a_i, h_j>), with g and h the gradients at a and b projected on the tangent space of the
    sphere, since a step along the vector itself changes no cosine. It exists for every loss, with or without scores.

    Args:
        a: (A, D) unit embeddings, in the graph of `total`; one without a graph stands still.
        b: (C, D) unit embeddings, likewise; may be `a` itself.
        total: () what is paid; its graph is kept.

    Returns:
        (A, C), without a graph.

    Raises:
        ValueError: if rows are not of length 1 or the total carries no graph.
    """
    x, y = unit_rows(a), unit_rows(b)
    g, h = (d - (d * z).sum(dim=1, keepdim=True) * z for d, z in zip(gradients(total, a, b), (x, y), strict=True))
    return -(g @ y.T + x @ h.T)


def across(a: Tensor, b: Tensor) -> Pairs:
    """(A, C) inner products of a (A, D) and b (C, D), the rows of one place positives: the pairs of a loss of none."""
    return Pairs(a @ b.T, diagonal_roles(len(a), len(b), a.device))


def gradient_norms(total: Tensor, *embeddings: Tensor) -> Tensor:
    """|dL/dz| of each row of the embeddings, one after the other, (rows in all,); arguments as for `gradients`.

    Give a and b for losses whose anchors are both views, a alone for the others, so that the rows are those of the
    scores and can be set against `gaps`. A norm of exactly 0 is an anchor that learns nothing from this step.
    """
    return torch.cat([g.norm(dim=1) for g in gradients(total, *embeddings)])


def silent_share(norms: Tensor) -> float:
    """Share of the anchors whose gradient is exactly 0, from the `gradient_norms`."""
    return share(norms == 0)
