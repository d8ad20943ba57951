import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.procedures.supremix import SupReMixMixtures, supremix_mixtures
from core.streams import stream

ALL = SupReMixMixtures(window=2.5, negatives_each=256, positives_each=256)
TARGETS = torch.tensor([0.0, 1.0, 1.0, 2.0, 3.0, 5.0, 9.0], dtype=torch.float64)


def draws(seed: int = 0, size: int = len(TARGETS)) -> tuple[Tensor, Tensor]:
    share, order = torch.rand((2, size, size), generator=stream(seed, "draws"), dtype=torch.float64)
    return share, order


def straight(y: Tensor) -> Tensor:
    """Embeddings that say their target and add up to 1 in a second coordinate."""
    return torch.stack([y, torch.ones_like(y)], dim=1)


def pairs_around(i: int, window: float) -> list[tuple[int, int]]:
    y = TARGETS.tolist()
    return [(j, k) for j in range(7) for k in range(7) if y[i] - window < y[j] < y[i] < y[k] < y[i] + window]


def test_a_mixture_lies_where_its_target_says_and_a_positive_has_its_anchors():
    mixed, targets, role = supremix_mixtures(straight(TARGETS), TARGETS, *draws(), ALL)
    there = role >= 0
    torch.testing.assert_close(mixed[there], straight(targets[there]))
    torch.testing.assert_close(targets[role == 1], TARGETS[:, None].expand_as(role)[role == 1])
    assert mixed[~there].eq(0).all()


def test_all_pairs_take_part_where_there_is_room():
    role = supremix_mixtures(straight(TARGETS), TARGETS, *draws(), ALL)[2]
    others = (TARGETS[:, None] != TARGETS).sum(dim=1)
    assert (role == 0).sum(dim=1).tolist() == others.tolist()
    assert (role == 1).sum(dim=1).tolist() == [len(pairs_around(i, 2.5)) for i in range(7)]
    assert role[0].max() == role[6].max() == 0


@pytest.mark.parametrize(("share", "mine"), [(1.0, True), (0.0, False)])
def test_the_share_is_the_anchors(share: float, mine: bool):
    z = F.normalize(torch.randn(7, 4, generator=stream(0), dtype=torch.float64), dim=1)
    order = torch.arange(49).reshape(7, 7).double() / 49
    mixed, targets, role = supremix_mixtures(z, TARGETS, torch.full((7, 7), share).double(), order, ALL)
    for i in range(7):
        others = [k for k in range(7) if TARGETS[k] != TARGETS[i]]
        made = mixed[i][role[i] == 0]
        assert torch.equal(made, z[i].expand_as(made) if mine else z[others])
        assert torch.equal(targets[i][role[i] == 0], TARGETS[[i] * len(others) if mine else others])


def test_the_window_is_open_at_its_ends():
    y = torch.tensor([0.0, 1.0, 2.0])
    role = [
        supremix_mixtures(straight(y), y, *(d.float() for d in draws(size=3)), ALL.model_copy(update={"window": w}))[2]
        for w in (1.0, 1.01)
    ]
    assert [int((found == 1).sum()) for found in role] == [0, 1]


def test_at_most_as_many_as_asked_and_all_of_them_among_the_whole_set():
    few = SupReMixMixtures(window=2.5, negatives_each=2, positives_each=1)
    whole, _, kinds = supremix_mixtures(straight(TARGETS), TARGETS, *draws(), ALL)
    mixed, _, role = supremix_mixtures(straight(TARGETS), TARGETS, *draws(), few)
    assert role.shape == (7, 3)
    assert (role == 0).sum(dim=1).tolist() == [2] * 7
    for i in range(7):
        assert (role[i] == 1).sum() == min(1, len(pairs_around(i, 2.5)))
        for kind in (0, 1):
            for one in mixed[i][role[i] == kind]:
                assert (whole[i][kinds[i] == kind] == one).all(dim=1).any()


def test_none_at_all_where_none_is_asked_for():
    none = SupReMixMixtures(negatives_each=0, positives_each=0)
    mixed, targets, role = supremix_mixtures(straight(TARGETS), TARGETS, *draws(), none)
    assert (mixed.shape, targets.shape, role.shape) == ((7, 0, 2), (7, 0), (7, 0))


def test_every_pair_around_an_anchor_is_as_likely():
    one, z = SupReMixMixtures(window=2.5, negatives_each=0, positives_each=1), torch.eye(7, dtype=torch.float64)
    times: dict[tuple[int, ...], int] = {}
    for seed in range(600):
        made = supremix_mixtures(z, TARGETS, *draws(seed), one)[0][3, 0]
        pair = tuple(made.nonzero().flatten().tolist())
        times[pair] = times.get(pair, 0) + 1
    assert set(times) == {tuple(sorted(pair)) for pair in pairs_around(3, 2.5)}
    assert len(times) == 3
    assert all(abs(count - 200) < 60 for count in times.values())
