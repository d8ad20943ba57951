"""A text encoder over counts of hashed words and pieces of words."""

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from core.data.registry import Modality
from core.encoders.fields import depth, dropout, width
from core.encoders.layers import perceptron
from core.encoders.registry import encoder
from core.params import Params

UNSPACED = re.compile("[぀-ヿ㐀-鿿豈-﫿]")


class Text(Params):
    kind: Literal["text"] = "text"
    buckets: int = Field(2048, ge=64, le=16384, title="Buckets", description="Places that words are hashed to.")
    width: int = width(256)
    depth: int = depth(0)
    dropout: float = dropout(0.6)


def pieces(text: str) -> Iterator[str]:
    """The words of a text and their pieces.

    A word comes whole, and as its runs of 3 and 4 characters with its ends marked. Japanese and Chinese, which set
    no spaces, come as runs of 1 to 3 characters.
    """
    for word in re.findall(r"\w+", text.lower()):
        if UNSPACED.search(word):
            marked, sizes = word, (1, 2, 3)
        else:
            yield word
            marked, sizes = f"<{word}>", (3, 4)
        for size in sizes:
            for start in range(len(marked) - size + 1):
                yield "#" + marked[start : start + size]


def hashed(modality: Modality, p: Text) -> Tensor:
    """(N, buckets) float32: log(1 + count) of the pieces in each bucket, scaled to unit length."""
    counts = torch.zeros(len(modality.values), p.buckets)
    for row, text in zip(counts, modality.values, strict=True):
        found = Counter(zlib.crc32(piece.encode()) % p.buckets for piece in pieces(text))
        row[list(found)] = torch.tensor(list(found.values()), dtype=torch.float32)
    return F.normalize(counts.log1p())


@encoder(
    Text, title="Text (hashed words)", source="common knowledge", forms=("text",), prepare=hashed, origin="recalled"
)
def text(p: Text, shape: tuple[int, ...], dim: int) -> nn.Module:
    """Dropout over the buckets, then linear layers with GELU.

    Args:
        p: buckets, width, depth, dropout.
        shape: (buckets,).
        dim: D, the size of the embedding.

    Returns:
        A module (n, buckets) -> (n, D).
    """
    return nn.Sequential(nn.Dropout(p.dropout), *perceptron(math.prod(shape), p.width, p.depth, p.dropout, dim))
