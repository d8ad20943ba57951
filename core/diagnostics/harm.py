"""What a mark on an image does to a classifier: whether marked items pass for the class that the mark belongs to."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from core.diagnostics.arrays import Array, unit_rows
from core.diagnostics.probes import class_of
from core.diagnostics.registry import diagnostic


@dataclass(frozen=True)
class Harm:
    """Accuracy of a linear classifier on clean items, and what it makes of marked items of other classes.

    `success` is the share that it takes for the target class, `cosine` their mean cosine to that class's centre.
    """

    accuracy: float
    success: float
    cosine: float


@diagnostic(
    "harm",
    title="Harm by a mark",
    source="Sun et al. 2024, arXiv:2404.07863: clean accuracy and attack success rate",
    papers=("blto",),
    values="success from 0 to 1, where every marked item passes for the target class; the cosine from -1 to 1",
    chance="what the same mark does to a network that was trained without it; 1 / classes where all has collapsed",
)
def harm(
    z: Array, labels: Array, test: Array, test_labels: Array, marked: Array, *, goal: int = 0, strength: float = 10
) -> Harm:
    """How often marked items of other classes pass for the target class, and how near they lie to its centre.

    Args:
        z: (N, D) unit training rows, as the network that may be poisoned embeds them.
        labels: (N,) their true classes, the target's among them and at least one other.
        test: (M, D) unit rows of clean items.
        test_labels: (M,) their classes.
        marked: (K, D) unit rows of items of other classes with the mark.
        goal: the class that the mark belongs to.
        strength: inverse of the classifier's regularisation, scikit-learn's C.
    """
    from sklearn.linear_model import LogisticRegression

    x, clean, touched = unit_rows(z), unit_rows(test), unit_rows(marked)
    truth, wanted = class_of(labels, x), class_of(test_labels, clean)
    model = LogisticRegression(C=strength, max_iter=1000).fit(x.cpu().numpy(), truth.cpu().numpy())
    found = torch.from_numpy(model.predict(clean.cpu().numpy()))
    taken = torch.from_numpy(model.predict(touched.cpu().numpy())) == goal
    centre = F.normalize(x[truth == goal].mean(dim=0), dim=0)
    return Harm(
        float((found == wanted.cpu()).double().mean()), float(taken.double().mean()), float((touched @ centre).mean())
    )
