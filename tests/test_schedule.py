"""Noise levels: the reference's schedules and respacings, and the laws of the levels a run visits."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collage_motion.errors import ModelError
from collage_motion.samplers.ancestral import posterior
from collage_motion.schedule import (
    DiscreteSchedule,
    cosine_betas,
    karras_sigmas,
    linear_betas,
    respace,
    spaced_sigmas,
    vp_scale,
)

COSINE = DiscreteSchedule.cosine(1000)

# Groups of diffusion_schedule.npz; step and inpaint are in test_samplers_golden.py, loss with training.
SCHEDULE = re.compile(r"(?:(cosine|linear)(\d+)|spaced_(\w+))/(\w+)")
TIMESTEPS = re.compile(r"timesteps/(\w+)")
ELSEWHERE = re.compile(
    r"step/(x_t|x0_pred|noise)|step/\w+/(index|model_timesteps|ddim_eta[\d.]+|ancestral|ancestral_clipped|posterior_mean"
    r"|posterior_log_variance|eps_from_x0|q_sample)|inpaint/(mask|motion|x0|\w+_eta[\d.]+)|loss/(lengths|masked_l2)"
)


def spec_of(name: str) -> tuple[str, int | None]:
    """The respacing a golden name stands for, and the number of steps it is of when the name says so."""
    if name.startswith("ddim"):
        return name, None
    if name.startswith("count"):
        return name.removeprefix("count"), None
    counts, total = name.removeprefix("sections_").split("_of_")
    return counts.replace("_", ","), int(total)


def reference_arrays(schedule: DiscreteSchedule) -> dict[str, np.ndarray]:
    """The reference's tables, from our sigmas and the ancestral sampler's own coefficients."""
    sigma = schedule.levels
    lower = np.concatenate(([0.0], sigma[:-1]))
    weight, deviation = np.array([posterior(a, b) for a, b in zip(sigma, lower, strict=True)]).T
    before = np.concatenate(([1.0], schedule.alphas_cumprod[:-1]))
    variance = before * deviation**2
    return {
        "betas": schedule.betas,
        "alphas_cumprod": schedule.alphas_cumprod,
        "alphas_cumprod_prev": before,
        "posterior_variance": variance,
        "posterior_log_variance_clipped": np.log(np.append(variance[1], variance[1:])),
        "posterior_mean_coef1": np.sqrt(before) * (1 - weight),
        "posterior_mean_coef2": np.sqrt(before / schedule.alphas_cumprod) * weight,
        "timestep_map": np.array(schedule.timesteps),
    }


def base_size(arrays: dict[str, np.ndarray]) -> int:
    return max(int(m[2]) for m in map(SCHEDULE.fullmatch, arrays) if m and m[2])


@pytest.fixture(scope="module")
def arrays(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "diffusion_schedule.npz"))


@pytest.mark.golden
def test_schedules_equal_the_reference(arrays: dict[str, np.ndarray]) -> None:
    checked = 0
    for name in arrays:
        if not (match := SCHEDULE.fullmatch(name)):
            continue
        kind, size, spaced, quantity = match.groups()
        if spaced:
            spec, total = spec_of(spaced)
            schedule = DiscreteSchedule.cosine(total or base_size(arrays)).respaced(spec)
        else:
            schedule = DiscreteSchedule.from_config({"name": kind, "steps": int(size)})
        expected = arrays[name]
        known = reference_arrays(schedule)
        assert quantity in known, f"{name}: an array no test knows"
        np.testing.assert_allclose(known[quantity], expected, rtol=1e-9, atol=1e-300, err_msg=name)
        checked += 1
    assert checked >= 8


@pytest.mark.golden
def test_respacings_equal_the_reference(arrays: dict[str, np.ndarray]) -> None:
    names = [name for name in arrays if TIMESTEPS.fullmatch(name)]
    assert names
    for name in names:
        spec, total = spec_of(name.removeprefix("timesteps/"))
        np.testing.assert_array_equal(respace(total or base_size(arrays), spec), arrays[name], err_msg=name)


@pytest.mark.golden
def test_every_array_of_the_schedule_file_is_known(arrays: dict[str, np.ndarray]) -> None:
    known = (SCHEDULE, TIMESTEPS, ELSEWHERE)
    unknown = [name for name in arrays if not any(p.fullmatch(name) for p in known)]
    assert not unknown, f"arrays no test knows: {unknown}"


def test_linear_schedule_at_1000_steps_is_ddpms() -> None:
    betas = linear_betas(1000)
    assert betas[0] == pytest.approx(1e-4) and betas[-1] == pytest.approx(0.02)
    assert linear_betas(50)[[0, -1]] == pytest.approx([2e-3, 0.4])


def test_cosine_levels_span_what_the_specification_says() -> None:
    assert COSINE.alphas_cumprod[[0, 499, 999]] == pytest.approx([0.999958716, 0.493843590, 2.42876691e-09])
    assert cosine_betas(50)[-1] == 0.999
    assert COSINE.levels[-1] == pytest.approx(20291, rel=1e-3)


@given(st.integers(0, 999))
@settings(deadline=None)
def test_a_level_leads_back_to_its_timestep(timestep: int) -> None:
    assert COSINE.timestep(float(COSINE.levels[timestep])) == timestep


def test_timesteps_beyond_the_ends_are_the_ends() -> None:
    assert COSINE.timestep(0.0) == 0
    assert COSINE.timestep(1e9) == 999


def test_timestep_takes_the_nearest_level_by_ratio() -> None:
    low, high = COSINE.levels[400:402]
    assert COSINE.timestep(float(np.sqrt(low * high)) * 0.9999) == 400
    assert COSINE.timestep(float(np.sqrt(low * high)) * 1.0001) == 401


def test_a_respaced_schedule_names_original_timesteps() -> None:
    spaced = COSINE.respaced("ddim50")
    assert spaced.timestep(float(spaced.levels[49])) == 980
    assert COSINE.sigmas("ddim50") == [*COSINE.levels[:981:20][::-1].tolist(), 0.0]


def test_scale_turns_noisy_x_into_variance_preserving_form() -> None:
    for alpha, sigma in zip(COSINE.alphas_cumprod, COSINE.levels, strict=True):
        assert vp_scale(sigma) == pytest.approx(np.sqrt(alpha), rel=1e-9)


@given(st.integers(1, 60), st.sampled_from(["uniform", "karras"]), st.sampled_from([None, 0.02, 0.3]))
@settings(deadline=None)
def test_a_run_starts_at_the_noisiest_level_and_falls_to_zero(steps: int, spacing: str, end: float | None):
    sigmas = spaced_sigmas(COSINE, steps, spacing, sigma_end=end)
    assert len(sigmas) == steps + 1
    assert sigmas[0] == COSINE.levels[-1] and sigmas[-1] == 0.0
    assert all(high > low for high, low in pairwise(sigmas))
    assert set(sigmas[:-1]) <= set(COSINE.levels.tolist())
    if end is not None and steps > 1:
        assert COSINE.timestep(sigmas[-2]) == COSINE.timestep(end)


@given(
    st.integers(1, 200),
    st.sampled_from(["uniform", "karras"]),
    st.sampled_from([None, 0.02, 0.3]),
    st.sampled_from([0.5, 6.0, 200.0, 1e9]),
)
@settings(deadline=None)
def test_a_run_may_start_lower(steps: int, spacing: str, end: float | None, start: float) -> None:
    sigmas = spaced_sigmas(COSINE, steps, spacing, end, start)
    assert len(sigmas) == steps + 1 and sigmas[-1] == 0.0
    assert all(high > low for high, low in pairwise(sigmas))
    assert set(sigmas[:-1]) <= set(COSINE.levels.tolist())
    assert COSINE.timestep(sigmas[0]) == COSINE.timestep(start)


def test_where_levels_are_few_a_run_goes_beyond_its_ends() -> None:
    schedule = DiscreteSchedule.cosine(50)
    start, end = schedule.levels[[30, 20]].tolist()
    assert spaced_sigmas(schedule, 40, "karras", end, start) == [*schedule.levels[39::-1].tolist(), 0.0]


@pytest.mark.parametrize("spacing", ["uniform", "karras", "ddim"])
def test_as_many_steps_as_levels_visits_every_level(spacing: str) -> None:
    schedule = DiscreteSchedule.cosine(50)
    assert spaced_sigmas(schedule, 50, spacing) == [*schedule.levels[::-1].tolist(), 0.0]


def test_uniform_timesteps_trail_from_the_noisiest() -> None:
    assert [COSINE.timestep(sigma) for sigma in COSINE.sigmas(50)[:-1]] == list(range(999, 0, -20))


def test_ddim_spacing_is_the_references_stride() -> None:
    assert spaced_sigmas(COSINE, 50, "ddim") == COSINE.sigmas("ddim50")


def test_karras_levels_include_both_ends_and_are_even_in_the_root() -> None:
    levels = karras_sigmas(80.0, 0.002, 12, rho=3.0)
    assert (levels[0], levels[-1], len(levels)) == (80.0, 0.002, 12)
    np.testing.assert_allclose(np.diff(np.cbrt(levels)), np.diff(np.cbrt(levels))[0])


@pytest.mark.golden
def test_karras_levels_equal_the_official_ones(golden: Path) -> None:
    expected = np.load(golden / "diffcollage.npz")["edm/rev_ts"]
    levels = karras_sigmas(float(expected[0]), float(expected[-1]), len(expected), rho=5.0)
    np.testing.assert_allclose(levels, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: respace(1000, "ddim70"), "'ddim70': no whole stride through 1000 steps makes 70; try ddim7"),
        (lambda: respace(1000, "ddimx"), "got 'x'; allowed: a number"),
        (lambda: respace(1000, "10,,5"), "got ''; allowed"),
        (lambda: respace(30, "20,10"), "section 1 has 15 steps, got 20; ask for fewer"),
        (lambda: COSINE.sigmas(1001), "steps: got 1001; allowed: 1 to 1000"),
        (lambda: COSINE.sigmas(0), "steps: got 0; allowed: 1 to 1000"),
        (lambda: spaced_sigmas(COSINE, 5, "log"), "spacing: got 'log'; allowed: uniform, karras, ddim"),
        (lambda: spaced_sigmas(COSINE, 50, "ddim", sigma_end=0.1), "with ddim spacing; use uniform"),
        (
            lambda: spaced_sigmas(COSINE, 50, "ddim", sigma_start=200.0),
            "sigma_start: got 200 with ddim spacing",
        ),
        (
            lambda: spaced_sigmas(COSINE, 5, "karras", 2.0, 0.5),
            "sigma_start: got 0.5; allowed: at least sigma_end, which is 2",
        ),
        (lambda: linear_betas(20), "linear schedule: got 20 diffusion steps; allowed: 21 or more"),
        (lambda: karras_sigmas(1.0, 2.0, 5), "karras spacing: got 5 levels from 1 to 2"),
        (
            lambda: DiscreteSchedule.from_config({"name": "cos", "steps": 10}),
            "got name 'cos'; allowed: cosine",
        ),
        (lambda: DiscreteSchedule.from_config({"name": "cosine", "steps": "x"}), "got steps 'x'; allowed"),
    ],
)
def test_errors_say_what_is_allowed(call, message: str) -> None:
    with pytest.raises(ModelError, match=re.escape(message)):
        call()
