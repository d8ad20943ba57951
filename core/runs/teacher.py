"""A teacher that follows the networks, and a bank of its embeddings of the items seen last."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from core.methods.looking import side_by_side
from core.methods.queue import Queue, kept
from core.methods.remembering import Remembering, joined_clusters
from core.runs.networks import Networks
from core.runs.payment import Embedded


class Teacher(nn.Module):
    """Networks without gradient, K embeddings of each modality by them, and the classes of those items.

    All of it is state of the module, so a checkpoint holds it.
    """

    def __init__(
        self, networks: Networks, p: Queue | Remembering, inputs: Mapping[str, Tensor], labels: Tensor
    ) -> None:
        """Start as the networks are; the bank starts with K items, none of them twice.

        Args:
            networks: as they are initialised.
            p: params of the method: momentum.
            inputs: modality -> (K, ...) prepared items that the bank starts with.
            labels: (K,) their classes.
        """
        super().__init__()
        self.p: Any = p
        self.networks = copy.deepcopy(networks).requires_grad_(False)
        self.names = list(inputs)
        self.register_buffer("bank", torch.stack(list(self.see(inputs).values())))
        self.register_buffer("labels", labels.clone())

    @torch.no_grad()
    def see(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Modality -> (n, D) unit embeddings, without dropout."""
        self.networks.eval()
        return self.networks.encode(inputs).z

    def teach(self, batch: Embedded, inputs: Mapping[str, Tensor], rows: Tensor) -> Embedded:
        """The batch with the teacher's embeddings of it, and the bank as it stands before the step.

        Args:
            batch: as the networks encode it.
            inputs: modality -> (n, ...) prepared items.
            rows: (n,) their places among the training items.
        """
        bank = dict(zip(self.names, self.bank, strict=True))
        return replace(batch, teacher=self.see(inputs), bank=bank, bank_labels=self.labels)

    @torch.no_grad()
    def follow(self, networks: Networks, batch: Embedded, rows: Tensor) -> None:
        """Move towards the networks after their step, and keep what was seen in it; arguments as for `teach`."""
        for mine, theirs in zip(self.networks.parameters(), networks.parameters(), strict=True):
            mine.lerp_(theirs, 1 - self.p.momentum)
        for mine, theirs in zip(self.networks.buffers(), networks.buffers(), strict=True):
            mine.copy_(theirs)
        seen = zip(self.bank, self.names, strict=True)
        self.bank = torch.stack([kept(bank, batch.teacher[name]) for bank, name in seen])
        self.labels = kept(self.labels, batch.labels)


class RememberingTeacher(Teacher):
    """A teacher that also keeps how every training item was seen last, (M, N, D), and its cluster, (N,)."""

    def __init__(
        self, networks: Networks, p: Remembering, inputs: Mapping[str, Tensor], labels: Tensor, items: int
    ) -> None:
        """As a teacher; the memory of `items` training items is filled by the first look at them."""
        super().__init__(networks, p, inputs, labels)
        self.register_buffer("memory", self.bank.new_zeros(len(self.names), items, self.bank.shape[-1]))
        self.register_buffer("clusters", labels.new_zeros(items))

    def remember(self, z: Mapping[str, Tensor], clusters: Tensor) -> None:
        """Take up a look: modality -> (N, D) embeddings, and (N,) their clusters."""
        self.memory.copy_(torch.stack([z[name] for name in self.names]))
        self.clusters.copy_(clusters)

    def teach(self, batch: Embedded, inputs: Mapping[str, Tensor], rows: Tensor) -> Embedded:
        memory, clusters = dict(zip(self.names, self.memory, strict=True)), self.clusters
        taught = super().teach(batch, inputs, rows)
        return replace(taught, memory=memory, memory_clusters=clusters, clusters=clusters[rows])

    @torch.no_grad()
    def follow(self, networks: Networks, batch: Embedded, rows: Tensor) -> None:
        super().follow(networks, batch, rows)
        fresh = torch.stack([batch.teacher[name] for name in self.names])
        together = side_by_side(dict(zip(self.names, self.memory, strict=True)))
        joined = joined_clusters(together, self.clusters, side_by_side(batch.teacher), self.p.clusters)
        self.memory = self.memory.index_copy(1, rows, fresh)
        self.clusters = self.clusters.index_copy(0, rows, joined)


def taught_arrays(batch: Embedded) -> dict[str, Tensor]:
    """What a snapshot keeps of the teacher, as far as the method has it.

    `teacher.<modality>` (P, D), `bank.<modality>` (K, D), `bank_labels` (K,), `memory.<modality>` (N, D),
    `memory_clusters` (N,).
    """
    parts = {"teacher": batch.teacher, "bank": batch.bank, "memory": batch.memory}
    arrays = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
    lists = {"bank_labels": batch.bank_labels, "memory_clusters": batch.memory_clusters}
    return arrays | {name: value for name, value in lists.items() if value is not None}
