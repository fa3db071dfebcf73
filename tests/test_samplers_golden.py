"""The reference's single steps, taken by our samplers in our coordinates."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from collage_motion.conditioning import known, replacement
from collage_motion.denoiser import add_noise, x0_to_noise
from collage_motion.samplers.ancestral import ancestral, posterior
from collage_motion.samplers.ddim import ddim
from collage_motion.samplers.euler import euler
from collage_motion.schedule import DiscreteSchedule, vp_scale

Arrays = dict[str, np.ndarray]


def eta_of(quantity: str) -> float | None:
    """The share of noise that the name of a DDIM step says; None for other quantities."""
    match = re.fullmatch(r"ddim_eta([\d.]+)", quantity)
    return float(match[1]) if match else None


def step_schedule(name: str, arrays: Arrays) -> DiscreteSchedule:
    if name.startswith("full"):
        return DiscreteSchedule.cosine(int(name.removeprefix("full")))
    spec, _, total = name.removeprefix("count").removeprefix("sections_").partition("_of_")
    sizes = [int(m[1]) for key in arrays if (m := re.match(r"cosine(\d+)/", key))]
    return DiscreteSchedule.cosine(int(total or max(sizes))).respaced(spec.replace("_", ","))


class Steps:
    """The golden single steps of one schedule, run by our samplers in our coordinates.

    The denoiser returns the given x0; x goes in as x_vp / vp_scale(sigma) and comes back the same way.
    """

    def __init__(self, arrays: Arrays, name: str) -> None:
        self.schedule = step_schedule(name, arrays)
        self.indices = arrays[f"step/{name}/index"].tolist()
        levels = self.schedule.levels
        self.sigmas = [(float(levels[i]), float(levels[i - 1]) if i else 0.0) for i in self.indices]
        self.x0 = torch.from_numpy(arrays["step/x0_pred"])
        self.noise = torch.from_numpy(arrays["step/noise"])
        x_t = torch.from_numpy(arrays["step/x_t"])
        self.x = [x_t[n] / vp_scale(sigma) for n, (sigma, _) in enumerate(self.sigmas)]

    def run(self, sampler, x0: Tensor | None = None, quiet: bool = False) -> np.ndarray:
        """One step of a sampler from each item's level to the one below."""
        return self._run([sampler] * len(self.sigmas), self.sigmas, x0, quiet)

    def run_ddim_rounded(self, eta: float, x0: Tensor | None = None) -> np.ndarray:
        """One step of our DDIM between the noise levels that the reference's float32 tables stand for."""
        rounded = [self._rounded(n, eta) for n in range(len(self.sigmas))]
        samplers = [partial(ddim, eta=eta) for _, _, eta in rounded]
        return self._run(samplers, [(sigma, lower) for sigma, lower, _ in rounded], x0, False)

    def _run(self, samplers, sigmas, x0: Tensor | None, quiet: bool) -> np.ndarray:
        x0 = self.x0 if x0 is None else x0
        noise = torch.zeros_like(self.noise) if quiet else self.noise
        rows = []
        for n, (sampler, levels) in enumerate(zip(samplers, sigmas, strict=True)):
            out = sampler(lambda x, sigma, n=n: x0[n], self.x[n], levels, noise=lambda k, n=n: noise[n])
            rows.append(out * vp_scale(self.sigmas[n][1]))
        return torch.stack(rows).numpy()

    def _rounded(self, n: int, eta: float) -> tuple[float, float, float]:
        """Levels and eta that give the coefficients which the reference's float32 tables give in step n.

        Its eps comes from float64 tables, its sqrt(1 - P - s^2) from float32 ones (mdm-compat b.4), and 1 - P
        keeps few digits near one. At the two lowest levels the two differ by 3e-4, which the golden inputs,
        where x_t and x0 are unrelated, magnify a thousandfold.
        """
        (sigma, lower), index = self.sigmas[n], self.indices[n]
        if index == 0:
            return sigma, lower, eta
        alpha, before = torch.tensor(self.schedule.alphas_cumprod[[index, index - 1]], dtype=torch.float32)
        s = eta * torch.sqrt((1 - before) / (1 - alpha)) * torch.sqrt(1 - alpha / before)
        left, fresh = (v.item() / before.sqrt().item() for v in (torch.sqrt(1 - before - s**2), s))
        lower = float(np.hypot(left, fresh))
        return sigma, lower, fresh / lower / float(np.sqrt(1 - (lower / sigma) ** 2))


@pytest.fixture(scope="module")
def arrays(golden: Path) -> Arrays:
    return dict(np.load(golden / "diffusion_schedule.npz"))


def golden_steps(arrays: Arrays) -> list[tuple[str, str, Steps]]:
    """(array name, quantity, steps) of every array of single steps."""
    made: dict[str, Steps] = {}
    found = []
    for key in arrays:
        if match := re.fullmatch(r"step/(\w+)/([\w.]+)", key):
            steps = made.setdefault(match[1], None) or Steps(arrays, match[1])
            made[match[1]] = steps
            found.append((key, match[2], steps))
    assert found
    return found


@pytest.mark.golden
def test_single_ddim_and_ancestral_steps_equal_the_reference(arrays: Arrays) -> None:
    checked = []
    for key, quantity, steps in golden_steps(arrays):
        if (eta := eta_of(quantity)) is not None:
            got = steps.run_ddim_rounded(eta)
        elif quantity == "ancestral":
            got = steps.run(ancestral)
        elif quantity == "ancestral_clipped":
            got = steps.run(ancestral, x0=steps.x0.clamp(-1, 1))
        elif quantity == "posterior_mean":
            got = steps.run(ancestral, quiet=True)
        else:
            continue
        # With wider vectors a processor rounds sums otherwise: up to 1.5e-5 at the noisiest step.
        np.testing.assert_allclose(got, arrays[key], atol=2e-5, rtol=0, err_msg=key)
        checked.append(quantity)
    assert {"ddim_eta0", "ddim_eta1", "ancestral", "posterior_mean"} <= set(checked)


@pytest.mark.golden
@pytest.mark.parametrize("sampler", [euler, ddim])
def test_between_exact_levels_steps_equal_the_reference_per_unit_of_noise(sampler, arrays: Arrays) -> None:
    # At its own noise level x holds about one unit of noise; the golden inputs hold up to a thousand.
    for key, quantity, steps in golden_steps(arrays):
        if (eta := eta_of(quantity)) is not None:
            run = partial(ddim, eta=eta) if eta else sampler
            units = np.maximum(1, np.abs(arrays[key.replace(quantity, "eps_from_x0")]))
            np.testing.assert_array_less(np.abs(steps.run(run) - arrays[key]), 1e-5 * units, err_msg=key)


@pytest.mark.golden
def test_variance_of_the_ancestral_step_equals_the_reference(arrays: Arrays) -> None:
    for key, quantity, steps in golden_steps(arrays):
        if quantity != "posterior_log_variance":
            continue
        spread = np.abs(steps.run(ancestral) - steps.run(ancestral, quiet=True))
        last = np.array(steps.indices) == 0
        size = np.abs(steps.noise.numpy())
        deviation = spread.reshape(len(last), -1).sum(1) / size.reshape(len(last), -1).sum(1)
        got = 2 * np.log(np.where(last, 1, deviation))
        # The reference's table repeats entry 1 at index 0, where no noise is added; ours adds none.
        assert not deviation[last].any()
        second = steps.schedule.levels[1], steps.schedule.levels[0]
        got[last] = 2 * np.log(posterior(*second)[1] * vp_scale(second[1]))
        np.testing.assert_allclose(got, arrays[key], atol=1e-5, rtol=0, err_msg=key)


@pytest.mark.golden
def test_noise_forward_diffusion_and_timesteps_equal_the_reference(arrays: Arrays) -> None:
    for key, quantity, steps in golden_steps(arrays):
        expected = arrays[key]
        for n, (sigma, _) in enumerate(steps.sigmas):
            if quantity == "eps_from_x0":
                got = x0_to_noise(steps.x[n], sigma, steps.x0[n]).numpy()
                # Relative to the largest: where x_t and x0 nearly cancel, float32 has no digits left.
                np.testing.assert_allclose(got, expected[n], rtol=0, atol=1e-5 * np.abs(expected[n]).max())
            elif quantity == "q_sample":
                got = (add_noise(steps.x0[n], sigma, steps.noise[n]) * vp_scale(sigma)).numpy()
                np.testing.assert_allclose(got, expected[n], atol=1e-5, rtol=0)
            elif quantity == "model_timesteps":
                assert steps.schedule.timestep(sigma) == expected[n]


def held(steps: Steps, keep: Tensor, given: Tensor) -> Tensor:
    """The x0 of each item, held by our conditioning to what is given of it."""
    rows = []
    for n, (sigma, _) in enumerate(steps.sigmas):
        values, mask, x0, x = (
            v[n, :, 0].T if v.ndim == 4 else v[:, 0].T for v in (given, keep, steps.x0, steps.x[n])
        )
        denoise = replacement(lambda x, sigma, x0=x0: x0[None], known(values, mask))
        rows.append(denoise(x[None], sigma)[0].T[:, None])
    return torch.stack(rows)


@pytest.mark.golden
def test_a_step_with_given_values_equals_the_references_inpainting(arrays: Arrays) -> None:
    checked = []
    keep, given = torch.from_numpy(arrays["inpaint/mask"]), torch.from_numpy(arrays["inpaint/motion"])
    for key in arrays:
        if match := re.fullmatch(r"inpaint/(\w+)_eta([\d.]+)", key):
            steps = Steps(arrays, match[1])
            x0 = held(steps, keep, given)
            np.testing.assert_allclose(x0, arrays["inpaint/x0"], atol=1e-5, rtol=0)
            np.testing.assert_allclose(
                steps.run_ddim_rounded(float(match[2]), x0), arrays[key], atol=1e-5, rtol=0
            )
            checked.append(key)
    assert checked
