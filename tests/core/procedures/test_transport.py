import torch

from core.procedures.transport import Standardisation, Transport, standardised, transport, transport_plan
from core.streams import stream


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=stream(seed, "normal"), dtype=torch.float64)


def test_a_plan_meets_both_sides_in_equal_parts():
    plan = transport_plan(normal(3, 5), normal(12, 5, seed=1), Transport(tolerance=1e-12))
    torch.testing.assert_close(plan.sum(0), torch.full((12,), 1 / 12).double())
    torch.testing.assert_close(plan.sum(1), torch.full((3,), 1 / 3).double())


def test_prototypes_move_to_the_means_of_separate_groups():
    centres = 10 * torch.eye(3, 5).double()
    queries = (centres[:, None] + 0.1 * normal(3, 8, 5)).flatten(0, 1)
    means = queries.unflatten(0, (3, 8)).mean(1)
    moved = transport(centres + normal(3, 5, seed=1), queries, Transport(epsilon=0.01))
    torch.testing.assert_close(moved, means)


def test_what_is_kept_is_kept_and_passes_are_repetitions():
    start, queries = normal(3, 5), normal(12, 5, seed=1)
    once = transport(start, queries, Transport())
    torch.testing.assert_close(transport(start, queries, Transport(kept=0.3)), 0.7 * once + 0.3 * start)
    assert torch.equal(transport(start, queries, Transport(kept=1)), start)
    assert torch.equal(transport(start, queries, Transport(passes=2)), transport(once, queries, Transport()))


def test_prototypes_and_queries_in_one_point_stay_there():
    point = torch.ones(1, 5).double()
    torch.testing.assert_close(transport(point.repeat(3, 1), point.repeat(6, 1), Transport()), point.repeat(3, 1))


def test_standardised_rows_have_mean_0_and_deviation_1_and_a_flat_row_is_0():
    z = standardised(torch.cat([3 + 2 * normal(4, 9), torch.ones(1, 9).double()]), Standardisation())
    torch.testing.assert_close(z.mean(1), torch.zeros(5).double())
    torch.testing.assert_close(z.std(1), torch.tensor([1.0, 1, 1, 1, 0]).double())
