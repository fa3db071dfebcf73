"""Constants of real motion: measured, shipped, and in their right relations."""

import numpy as np
import pytest
from synthetic_motion import standing, stepping

from collage_motion.eval.constants import measure_joints, read_constants
from collage_motion.eval.jerk import mean_jerk


def test_figures_of_motions_weigh_by_frames() -> None:
    low = standing(300)
    low[..., 1] += 0.1
    figures = measure_joints([standing(100), low], windows=50)
    assert figures["floating"] == pytest.approx((100 * 0.015 + 300 * 0.115) / 400)
    assert (figures["j_avg"], figures["peak_jerk"], figures["bone_drift"]) == (0, 0, 0)
    walk = measure_joints([stepping(20, 200)], windows=50)
    assert walk["j_avg"] == pytest.approx(mean_jerk([stepping(20, 200)]))
    assert walk["peak_jerk"] <= walk["peak_jerk_each"]["mean"]
    assert measure_joints([stepping(20, 200)], windows=50) == walk


def test_the_shipped_constants_are_those_of_real_motion() -> None:
    real = read_constants()
    assert real["split"] == "test"
    assert real["motions"] > 300
    # Jerk is the same kind of thing in all of the data: training and test split agree.
    assert real["j_avg"] == pytest.approx(real["j_avg_train"], rel=0.1)
    assert real["peak_jerk"] == pytest.approx(real["j_avg"], rel=0.2)
    assert real["area_under_jerk"] < 0.1 * real["area_under_jerk_each"]["mean"]
    assert real["penetration"] < 0.001
    assert real["bone_drift_worst"] < 0.001
    assert np.isfinite([real["foot_slide"], real["foot_skating_ratio"]]).all()
