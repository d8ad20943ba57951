"""A teacher that follows the networks, and a bank of its embeddings of the items seen last."""

import copy
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from core.methods.queue import Queue, kept
from core.runs.networks import Networks
from core.runs.payment import Embedded


class Teacher(nn.Module):
    """Networks without gradient, K embeddings of each modality by them, and the classes of those items.

    All of it is state of the module, so a checkpoint holds it.
    """

    def __init__(self, networks: Networks, p: Queue, inputs: Mapping[str, Tensor], labels: Tensor) -> None:
        """Start as the networks are; the bank starts with K items, none of them twice.

        Args:
            networks: as they are initialised.
            p: params of the method: momentum.
            inputs: modality -> (K, ...) prepared items that the bank starts with.
            labels: (K,) their classes.
        """
        super().__init__()
        self.p = p
        self.networks = copy.deepcopy(networks).requires_grad_(False)
        self.names = list(inputs)
        self.register_buffer("bank", torch.stack(list(self.see(inputs).values())))
        self.register_buffer("labels", labels.clone())

    @torch.no_grad()
    def see(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Modality -> (n, D) unit embeddings, without dropout."""
        self.networks.eval()
        return self.networks.encode(inputs).z

    def teach(self, batch: Embedded, inputs: Mapping[str, Tensor]) -> Embedded:
        """The batch with the teacher's embeddings of it, and the bank as it stands before the step."""
        bank = dict(zip(self.names, self.bank, strict=True))
        return replace(batch, teacher=self.see(inputs), bank=bank, bank_labels=self.labels)

    @torch.no_grad()
    def follow(self, networks: Networks, batch: Embedded) -> None:
        """Move towards the networks after their step, and keep what was seen in it."""
        for mine, theirs in zip(self.networks.parameters(), networks.parameters(), strict=True):
            mine.lerp_(theirs, 1 - self.p.momentum)
        for mine, theirs in zip(self.networks.buffers(), networks.buffers(), strict=True):
            mine.copy_(theirs)
        seen = zip(self.bank, self.names, strict=True)
        self.bank = torch.stack([kept(bank, batch.teacher[name]) for bank, name in seen])
        self.labels = kept(self.labels, batch.labels)


def taught_arrays(batch: Embedded) -> dict[str, Tensor]:
    """What a snapshot keeps of the teacher: `teacher.<modality>` (P, D), `bank.<modality>` (K, D), `bank_labels`."""
    arrays = {f"teacher.{name}": value for name, value in batch.teacher.items()}
    arrays |= {f"bank.{name}": value for name, value in batch.bank.items()}
    return arrays | ({} if batch.bank_labels is None else {"bank_labels": batch.bank_labels})
