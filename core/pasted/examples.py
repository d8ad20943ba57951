"""Losses to begin with: two that are sound, and five with a fault that is easily made."""

from collections.abc import Mapping

SOUND: Mapping[str, str] = {
    "InfoNCE": '''def loss(scores, temperature=0.1):
    """Tell each anchor's positive, on the diagonal, from the rest."""
    logits = scores / temperature
    return logits.logsumexp(dim=1) - logits.diagonal()
''',
    "Alignment and uniformity": '''def loss(a, b, t=2):
    """Pull pairs together, and spread all anchors over the sphere."""
    alignment = (a - b).square().sum(dim=1).mean()
    uniformity = torch.pdist(a).square().mul(-t).exp().mean().log()
    return alignment + uniformity
''',
}
FAULTY: Mapping[str, str] = {
    "The sign is turned": """def loss(scores, temperature=0.1):
    labels = torch.arange(len(scores))
    return -F.cross_entropy(scores / temperature, labels)
""",
    "One side is detached": """def loss(a, b, temperature=0.1):
    scores = a @ b.detach().T
    return F.cross_entropy(scores / temperature, torch.arange(len(a)))
""",
    "A root without a slope": """def loss(a, b, margin=0.5):
    near = (a - b).square().sum(dim=1).sqrt()
    far = (a - b.roll(1, dims=0)).square().sum(dim=1).sqrt()
    return (margin + near - far).clamp(min=0)
""",
    "The order matters": """def loss(scores, temperature=0.1):
    labels = torch.arange(len(scores))
    weight = torch.linspace(1, 0, len(scores))
    return F.cross_entropy(scores / temperature, labels, weight)
""",
    "It never ends": """def loss(scores):
    paid = scores.diagonal().sum()
    while paid > -1000:
        paid = paid * 1
    return paid
""",
}
EXAMPLES: Mapping[str, str] = {**SOUND, **FAULTY}
