"""A task of one's own: the redshift and the r magnitude, each with its error."""

import numpy as np
from astromae.tasks import TASKS, Metric, Task


def loss(outputs, targets):
    from torch.nn.functional import mse_loss

    return mse_loss(outputs, targets)


def measure(columns, outlier_threshold):
    return {
        f"mse_{name}": np.square(columns[f"{name}_pred"] - columns[f"{name}_true"]).mean(axis=-1)
        for name in ("z", "mag_r")
    }


TASKS.register(
    "two-outputs",
    Task(
        title="redshift and magnitude",
        targets={"z": "z_true", "mag_r": "mag_r_true"},
        outputs=2,
        loss=loss,
        bias=lambda targets: targets.mean(axis=0),
        columns=("z_pred", "mag_r_pred"),
        predict=lambda outputs: {"z_pred": outputs[:, 0], "mag_r_pred": outputs[:, 1]},
        metrics={"mse_z": Metric("MSE of z"), "mse_mag_r": Metric("MSE of r")},
        measure=measure,
        regression=True,
    ),
)
