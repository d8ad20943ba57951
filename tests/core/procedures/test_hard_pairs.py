"""Hard pairs are those that a search by hand finds, and mixtures keep to their shares."""

import torch
import torch.nn.functional as F
from torch.testing import assert_close

from core.procedures.hard_pairs import HardMixing, HardPairs, hard_pair_mixing, hard_pairs

LABELS = torch.tensor([0, 0, 0, 1, 1, 2])
ANGLES = torch.tensor([0.0, 0.25, 0.9, 1.0, 1.4, 0.1], dtype=torch.float64)
LENGTHS = torch.tensor([1.0, 5.0, 0.3, 2.0, 1.0, 4.0], dtype=torch.float64)
X = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1) * LENGTHS[:, None]


def test_the_hardest_are_found_by_angle_whatever_the_lengths():
    positive, negative = hard_pairs(X, LABELS, HardPairs())
    assert positive.tolist() == [2, 2, 0, 4, 3, 5]
    assert negative.tolist() == [5, 5, 3, 2, 2, 0]


def test_an_item_without_others_stands_in_for_them():
    one = torch.zeros(6, dtype=torch.int64)
    assert hard_pairs(X, one, HardPairs())[1].tolist() == list(range(6))
    assert hard_pairs(X, torch.arange(6), HardPairs())[0].tolist() == list(range(6))


def test_as_released_no_hard_positive_is_found_among_features_above_zero():
    positive, negative = hard_pairs(X, LABELS, HardPairs(as_released=True))
    wrong = LABELS[positive] != LABELS
    assert ((positive == torch.arange(6)) | wrong).all()
    assert torch.equal(negative, hard_pairs(X, LABELS, HardPairs())[1])


def mixed(share: float, positive_share: float, **knobs: object) -> tuple[torch.Tensor, torch.Tensor]:
    each = torch.full((6,), share, dtype=torch.float64), torch.full((6,), positive_share, dtype=torch.float64)
    targets = F.one_hot(LABELS).double()
    return hard_pair_mixing(X, LABELS, targets, torch.arange(6).roll(1), *each, HardMixing(**knobs))


def test_mixtures_at_the_ends_of_their_shares_are_the_items_themselves():
    positive, negative = hard_pairs(X, LABELS, HardPairs())
    features, targets = mixed(1, 1)
    assert_close(features, torch.cat([X, X.roll(1, 0), X[positive]]))
    assert torch.equal(targets.argmax(dim=1), torch.cat([LABELS, LABELS.roll(1), LABELS]))
    assert_close(mixed(1, 0)[0][12:], X[negative])


def test_a_share_below_the_least_is_raised_to_it_and_targets_stay_shares():
    features, targets = mixed(0.1, 0.3)
    assert_close(features[6:12], 0.2 * X + 0.8 * X.roll(1, 0))
    assert_close(mixed(0.1, 0.3, least=0)[0][6:12], 0.9 * X + 0.1 * X.roll(1, 0))
    assert_close(targets.sum(dim=1), torch.ones(18, dtype=torch.float64))
    assert (targets >= 0).all()
