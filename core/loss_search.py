"""Finding a loss: by a word, by family, and by what one has to hand in."""

import functools
import itertools
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import get_args

from core.losses.registry import LOSSES, Family, LossEntry
from core.vocabulary import VOCABULARY

# What one can have, in plain words, and the inputs that it covers. A name that stands nowhere here is "others".
HAVE: Mapping[str, tuple[str, ...]] = {
    "pairs": ("a", "b"),
    "views": ("views", "projections", "a", "b"),
    "modalities": ("modalities", "joint", "a", "b"),
    "labels": ("labels", "clusters", "domain"),
    "targets": ("targets", "target"),
    "negatives": ("negatives",),
    "bank": (
        "bank",
        "other_bank",
        "bank_labels",
        "neighbours",
        "memory",
        "memory_clusters",
        "picks",
        "other_picks",
        "pick_share",
    ),
    "teacher": ("teacher", "other_teacher", "teacher_views", "teacher_scores"),
    "mixture": ("partner", "share", "synthetic", "synthetic_targets", "synthetic_role", "synthetic_shift"),
    "sequences": ("sequence", "other_sequence", "mask"),
    "bags": (
        "bags",
        "other_bags",
        "bag_mask",
        "members",
        "context",
        "other_context",
        "tags",
        "parts",
        "other_parts",
        "part_mask",
    ),
    "graph": ("graph", "node_weight", "compactness"),
    "heads": (
        "heads",
        "other_heads",
        "head_means",
        "head_log_variances",
        "gate",
        "salient",
        "other_salient",
        "pair_temperatures",
    ),
    "augmenter": ("augmented", "other_augmented"),
    "predictions": ("predicted", "other_predicted", "predicted_mean", "predicted_log_variance"),
    "maps": ("maps",),
    "scores": ("candidate_scores", "refusal_scores", "held_weight", "query_weight", "real_logits", "made_logits"),
    "likelihoods": ("log_prob_policy", "log_prob_reference"),
}
OTHERS = "others"
WORDS: Mapping[str, str] = {
    "pairs": "pairs",
    "views": "many views",
    "modalities": "modalities",
    "labels": "class labels",
    "targets": "continuous targets",
    "negatives": "own negatives",
    "bank": "bank of earlier items",
    "teacher": "a teacher",
    "mixture": "mixed items",
    "sequences": "sequences",
    "bags": "bags of members",
    "graph": "a graph",
    "heads": "several heads",
    "augmenter": "learned augmentations",
    "predictions": "predictions of the other side",
    "maps": "feature maps",
    "scores": "scores of candidates",
    "likelihoods": "log-likelihoods",
    OTHERS: "something else",
}
UNSAID = ("loss", "losses")  # all of them are: words of a question that tell none from another
FAMILIES: tuple[str, ...] = get_args(Family)


def holders(name: str) -> list[str]:
    """What one may have to hand in this input: any one of these is enough."""
    return [have for have, names in HAVE.items() if name in names] or [OTHERS]


def asked(entry: LossEntry) -> list[str]:
    """What one has to have for this loss, each input under the first name that covers it, in the order of need."""
    return list(dict.fromkeys(holders(name)[0] for name in entry.needed_of_a_run))


def covered(entry: LossEntry, have: Collection[str]) -> bool:
    """Whether what one has covers every input that the loss needs."""
    return all(set(holders(name)) & set(have) for name in entry.needed_of_a_run)


def meanings(names: Iterable[str]) -> list[str]:
    """Inputs in words, with the shape of each."""
    return [f"{name} ({', '.join(VOCABULARY[name].shape.split())}): {VOCABULARY[name].meaning}" for name in names]


def plain(text: str) -> str:
    """Lower case, without accents, words apart by one space."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return " ".join(re.findall(r"[a-z0-9]+", bare))


@functools.lru_cache(maxsize=1000)
def _spoken(key: str, title: str, *rest: str) -> tuple[str, str]:
    """Name and everything else that a word is looked for in, each also with its neighbouring words together."""
    name, body = (" ".join(_telling(text)) for text in (f"{title} {key}", " ".join(rest)))
    return f"{name} {_together(name)}", f"{body} {_together(body)}"


def _telling(text: str) -> list[str]:
    return [word for word in plain(text).split() if word not in UNSAID]


def _together(text: str) -> str:
    """Neighbouring words run together, so that ntxent finds NT-Xent."""
    words = text.split()
    return " ".join(one + other for one, other in itertools.pairwise(words))


def _occur(words: Iterable[str], text: str, end: str) -> bool:
    """Whether each of the words begins a word of the text, or, with a space as its end, is one."""
    return all(f" {word}{end}" in f" {text} " for word in words)


def rank(entry: LossEntry, text: str) -> int | None:
    """How well a loss answers: 0 and 1 by how its name begins, 2 by its name, 3 by what is said of it, None not.

    The beginning of a word will do, unless the question goes on to call it a loss; then 0 is only what is called so.
    """
    words = _telling(text)
    if not words:
        return 3
    wanted, end = " ".join(words), " " if len(words) < len(plain(text).split()) else ""
    relations = [word for pair in entry.relations.items() for word in pair]
    name, body = _spoken(
        entry.key, entry.title, entry.summary, entry.source, entry.family, *entry.papers, entry.origin, *relations
    )
    named = wanted == plain(entry.key) or wanted.replace(" ", "") == entry.key.replace("_", "")
    if plain(entry.title).startswith(plain(text)) or (named and not end):
        return 0
    if named or f"{name} ".startswith(wanted + end):
        return 1
    if _occur(words, name, end):
        return 2
    return 3 if _occur(words, f"{name} {body}", end) else None


def kin(entry: LossEntry) -> int:
    """How many losses are a step away: those it is related to, and those that name it as a relative."""
    return len(
        (set(entry.relations) & set(LOSSES.keys())) | {other.key for other in LOSSES if entry.key in other.relations}
    )


def find(text: str = "", family: str = "all", have: Collection[str] = ()) -> list[LossEntry]:
    """The losses that answer all three questions, the best answer to the text first.

    Among equal answers those with the most relatives come first: the losses that the others are explained by.

    Args:
        text: words that must all occur in name, paper, source, summary or relations; empty for any.
        family: one of `FAMILIES`, or "all".
        have: names out of `WORDS`; nothing chosen narrows nothing.
    """
    close: dict[str, set[str]] = {entry.key: set() for entry in LOSSES}
    for entry in LOSSES:
        for key in close.keys() & entry.relations.keys():
            close[key].add(entry.key)
            close[entry.key].add(key)
    answers = ((rank(entry, text), -len(close[entry.key]), plain(entry.title), entry) for entry in LOSSES)
    kept = [
        (place, kinship, title, entry)
        for place, kinship, title, entry in answers
        if place is not None and family in ("all", entry.family) and (not have or covered(entry, have))
    ]
    return [entry for *_, entry in sorted(kept, key=lambda each: each[:3])]
