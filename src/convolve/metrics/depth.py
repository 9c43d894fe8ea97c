"""How near a depth map is to another one, as the literature on depth from one image measures it.

Eigen, Puhrsch, Fergus 2014, "Depth map prediction from a single image using a multi-scale deep network", section 4;
`log10` is that of Saxena, Sun, Ng 2009, "Make3D", and of Laina et al. 2016.

>>> found = depth_metrics(np.array([1.0, 2.2, 6.0]), np.array([1.0, 2.0, 4.0]))
>>> round(found["abs_rel"], 4), round(found["delta1"], 4)
(0.2, 0.6667)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

DEPTH_METRICS = ("delta1", "delta2", "delta3", "abs_rel", "sq_rel", "rmse", "rmse_log", "log10")
_RATIO = 1.25


def depth_metrics(predicted: npt.NDArray[Any], target: npt.NDArray[Any]) -> dict[str, float]:
    """(P,) predicted and true depths of the same pixels, all above 0, to the metrics of `DEPTH_METRICS`.

    `delta1` to `delta3` are the fractions of pixels whose depth is less than 1.25, 1.25² and 1.25³ times too large or
    too small; `abs_rel` and `rmse` the mean of |p - t| / t and the root of the mean of (p - t)², `sq_rel` the mean of
    (p - t)² / t; `rmse_log` (natural logarithm) and `log10` are the same of logarithms, the root mean square and the
    mean of their absolute difference. All are nan without any pixel.
    """
    if not target.size:
        return dict.fromkeys(DEPTH_METRICS, float("nan"))
    found, true = predicted.astype(np.float64), target.astype(np.float64)
    ratio, difference = np.maximum(found / true, true / found), found - true
    logs = np.log(found) - np.log(true)
    values = (
        *((ratio < _RATIO**power).mean() for power in (1, 2, 3)),
        np.mean(np.abs(difference) / true),
        np.mean(difference**2 / true),
        np.sqrt(np.mean(difference**2)),
        np.sqrt(np.mean(logs**2)),
        np.mean(np.abs(logs)) / np.log(10),
    )
    return dict(zip(DEPTH_METRICS, map(float, values), strict=True))
