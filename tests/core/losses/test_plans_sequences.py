"""What the losses over whitened views, series, slices and critics plan, and what they are equal to."""

import torch
from torch import Tensor
from torch.testing import assert_close

from core.diagnostics.activation_timeline import activation_timeline
from core.losses.autotcl import whole
from core.losses.cost import CoST, cost
from core.losses.dcl import DCL, dcl
from core.losses.local_global import GlobalVolumes, LocalGlobal, global_volumes, local_global
from core.losses.pcl_sr import DualContrast, dual_contrast
from core.losses.registry import LOSSES
from core.losses.series_bound import SeriesBound, series_bound
from core.losses.series_dcl import SeriesDCL, series_dcl
from core.losses.w_mse import whitened
from core.streams import stream
from tests.core.losses.batches import example


def planned(key: str, seed: int = 0, settings: dict[str, object] | None = None, **given: Tensor) -> dict[str, Tensor]:
    entry = LOSSES[key]
    return entry.complete(given, entry.params(**settings or {}), stream(seed, "plan"))


def test_each_view_has_a_shuffle_of_its_own_unless_none_is_asked_for():
    views = torch.randn(3, 8, 40, dtype=torch.float64)
    orders = planned("whitenedcse", views=views)["channel_orders"]
    assert torch.equal(orders.sort(dim=-1).values, torch.arange(40).expand(3, 40))
    assert len(orders.unique(dim=0)) == 3
    assert torch.equal(orders, planned("whitenedcse", views=views)["channel_orders"])
    still = planned("whitenedcse", settings={"shuffle": False}, views=views)["channel_orders"]
    assert torch.equal(still, torch.arange(40).expand(3, 40))


def test_every_partition_is_an_order_of_its_own_and_sub_batches_are_whitened_up_to_the_shrinkage():
    views = torch.randn(2, 60, 4, generator=stream(0, "white"), dtype=torch.float64)
    turns = planned("w_mse", settings={"partitions": 3}, views=views)["turns"]
    assert torch.equal(turns.sort(dim=-1).values, torch.arange(60).expand(3, 60))
    assert len(turns.unique(dim=0)) == 3
    assert not torch.equal(turns, planned("w_mse", 1, {"partitions": 3}, views=views)["turns"])
    for part in whitened(views.unflatten(1, (3, 20)), 0.001).flatten(0, 1):
        assert_close(part.T.cov(), torch.eye(4, dtype=torch.float64), rtol=0, atol=5e-3)


def test_windows_begin_where_all_of_them_still_fit():
    z = example("sequence", 0)
    found = {
        int(planned("autotcl", seed, {"windows": 4}, sequence=z, other_sequence=z)["window_start"])
        for seed in range(60)
    }
    assert found == {0, 1, 2, 3}


def test_a_series_has_no_discrepancy_from_itself():
    z = example("sequence", 0)
    given = {"sequence": z, "other_sequence": z}
    entry = LOSSES["mmd"]
    assert_close(entry.pay(given, entry.params(), stream(0, "plan")).total(), torch.zeros((), dtype=torch.float64))


def test_slices_of_one_part_stand_in_a_ring():
    part = torch.tensor([2, 0, 1, 0, 2, 0, 0, 3])
    given = {"views": torch.zeros(2, 8, 3), "labels": part}
    after = planned("global_volumes", **given)["counterpart"]
    assert torch.equal(after.sort().values, torch.arange(8))
    assert torch.equal(part[after], part)
    assert after[2] == 2
    assert after[7] == 7
    for start, size in ((0, 2), (1, 4)):
        round_trip = [place := start] + [place := int(after[place]) for _ in range(size)]
        assert len(set(round_trip)) == size
        assert round_trip[-1] == start
    assert torch.equal(after, planned("global_volumes", **given)["counterpart"])
    assert any(not torch.equal(after, planned("global_volumes", seed, **given)["counterpart"]) for seed in range(1, 9))


def test_without_another_volume_the_views_of_a_slice_are_its_only_positives():
    views, alone = example("views", 0), torch.arange(6)
    across = global_volumes(views, alone, alone, GlobalVolumes())
    within = local_global(views, alone, LocalGlobal())
    assert_close(across.total(), within.total())
    assert torch.equal(across.pairs[0].role, within.pairs[0].role)


def test_the_released_sum_over_volumes_is_twice_the_mean():
    given = {name: example(name, 0) for name in ("views", "labels", "counterpart")}
    usual, released = (global_volumes(**given, p=GlobalVolumes(as_released=r)).total() for r in (False, True))
    assert_close(released, 2 * usual)


def test_a_critic_is_asked_for_differences_alone():
    real, made = example("real_logits", 0), example("made_logits", 0)
    p = DualContrast()
    assert_close(dual_contrast(real + 3, made + 3, p).total(), dual_contrast(real, made, p).total())
    one = dual_contrast(real[:1], made[:1], p).total()
    assert_close(one, 2 * torch.nn.functional.softplus(made[0] - real[0]))


def test_decoupled_series_are_dcl_of_their_largest_values():
    x, y = example("sequence", 0), example("other_sequence", 0)
    found = series_dcl(x, y, SeriesDCL(temperature=0.4))
    assert_close(found.total(), dcl(whole(x), whole(y), DCL(temperature=0.4)).total())


def test_a_view_that_says_nothing_of_its_series_is_bounded_by_no_information():
    x, y = example("sequence", 0), example("other_sequence", 0)
    nothing = series_bound(x, y[:1].expand_as(y), SeriesBound())
    assert_close(nothing.total(), torch.zeros((), dtype=torch.float64))
    assert series_bound(x, x, SeriesBound()).total() > 0.1


def test_what_the_code_adds_to_exponentials_shows_in_the_sixth_place():
    x, y = example("sequence", 0), example("other_sequence", 0)
    for pay, settings in ((series_dcl, SeriesDCL), (series_bound, SeriesBound)):
        usual, released = (pay(x, y, settings(as_released=r)).total() for r in (False, True))
        assert 1e-7 < (usual - released).abs() < 1e-4


def clips() -> tuple[Tensor, Tensor, Tensor]:
    """Sight and sound of 8 clips of 20 steps, (8, 20, 6) each, and the bursts, (8, 20).

    In a burst sound is loud and sight is a little louder than elsewhere; a distractor, louder than that, is in sight
    alone.
    """
    g = stream(0, "clips")
    sight, sound = (0.5 * torch.randn(8, 20, 6, generator=g, dtype=torch.float64) for _ in range(2))
    bursts, distractor = torch.zeros(2, 8, 20, dtype=torch.bool)
    bursts[:, 4:8] = distractor[:, 12:16] = True
    sight[..., 0] += 1.2 * bursts
    sight[..., 1] += 2 * distractor
    sound[..., 0] += 4 * bursts
    return sight, sound, bursts


def learned_by(guided: str) -> float:
    """The precision of sight alone for the bursts, after 50 steps on the features themselves."""
    sight, sound, bursts = clips()
    entry, x = LOSSES["rasl_points"], sight.clone().requires_grad_()
    p = entry.params(guided=guided)
    for step in range(50):
        paid = entry.pay({"sequence": x, "other_sequence": sound}, p, stream(0, "plan", step)).total()
        (g,) = torch.autograd.grad(paid, x)
        x = (x - 5 * g).detach().requires_grad_()
    return activation_timeline(x, bursts).precision


def test_sight_learns_from_sound_where_to_stand_out_and_alone_it_follows_the_distractor():
    sight, _, bursts = clips()
    raw = activation_timeline(sight, bursts)
    assert raw.chance < raw.precision < 0.5
    assert learned_by("both") > 0.8
    assert learned_by("own") < raw.precision


def wave(period: int, shift: float = 0) -> Tensor:
    """(1, 24, 2) a series that goes round once in each period."""
    angle = 2 * torch.pi * (torch.arange(24, dtype=torch.float64) - shift) / period
    return torch.stack([angle.cos(), angle.sin()], dim=-1)[None]


def terms_of(sequence: Tensor, other_sequence: Tensor) -> dict[str, Tensor]:
    paid = cost(sequence, other_sequence, CoST(alpha=1))
    return {name: term.per for name, term in paid.terms.items()}


def test_amplitudes_say_how_often_a_series_repeats_and_phases_where_it_stands():
    """Two series of different periods are told apart by their amplitudes, wherever they start; by phases, by where."""
    slow, fast = wave(12), wave(4)
    shifted = torch.cat([wave(12, 3), wave(4, 1)])
    assert_close(
        terms_of(torch.cat([slow, fast]), shifted)["amplitude"], terms_of(*[torch.cat([slow, fast])] * 2)["amplitude"]
    )
    level = terms_of(torch.cat([wave(12), wave(12, 6)]), torch.cat([wave(12), wave(12, 6)]))
    among_three = torch.full((4,), 3.0, dtype=torch.float64).log()
    assert_close(level["amplitude"], among_three)
    assert (level["phase"] < among_three - 0.05).all()


def test_a_series_without_a_frequency_has_no_phase_there_and_a_gradient_that_is_finite():
    still = torch.ones(3, 8, 2).requires_grad_()
    paid = cost(still, wave(12)[:, :8].expand(3, -1, -1).float(), CoST(alpha=10, temperature=0.01)).total()
    (g,) = torch.autograd.grad(paid, still)
    assert g.isfinite().all()


def test_a_coefficient_that_is_real_has_one_phase_whatever_sign_rounding_gives_it():
    """Even series have real coefficients only; those of the opposite series have phase π, never -π."""
    even = torch.stack([wave(6)[0, :, 0], wave(4)[0, :, 0]])[..., None].expand(-1, -1, 2) + 0.1
    both = torch.cat([even, -even])
    assert_close(terms_of(both, both.flip(1).roll(1, 1)), terms_of(both, both))
