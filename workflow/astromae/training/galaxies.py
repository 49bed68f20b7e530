"""One subset's galaxies as a model reads them, and what it says of them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from astromae.tasks.model import Model
from astromae.training.views import Views


@dataclass
class Galaxies:
    """One subset's galaxies, ready for a model.

    Attributes
    ----------
    objid
        Object ids, shape (n,).
    views
        Their stamps.
    magnitudes
        Scaled magnitudes, shape (n, bands), on the training device; None where no branch reads them.
    """

    objid: np.ndarray
    views: Views
    magnitudes: Tensor | None

    def magnitudes_of(self, rows: slice | Tensor) -> Tensor | None:
        """Return the scaled magnitudes of some of them."""
        return None if self.magnitudes is None else self.magnitudes[rows]


@torch.no_grad()
def predict(device: torch.device, model: nn.Module, galaxies: Galaxies, features: Tensor | None) -> Tensor:
    """Return the outputs (n, outputs) for galaxies from their plain stamps; features (n, width) where known."""
    predicted = []
    for rows, _, images in galaxies.views.plain():
        known = None if features is None else features[rows].to(device)
        predicted.append(model(images, galaxies.magnitudes_of(rows), known))
    return torch.cat(predicted)


@torch.no_grad()
def embed_and_predict(
    device: torch.device, model: Model, galaxies: Galaxies, features: Tensor | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings (n, width), float32, and outputs (n, outputs), float64; parameters as of `predict`."""
    embedded, predicted = [], []
    for rows, _, images in galaxies.views.plain():
        known = None if features is None else features[rows].to(device)
        joined = model.embed(images, galaxies.magnitudes_of(rows), known)
        embedded.append(joined.float())
        predicted.append(model.answer(joined))
    return torch.cat(embedded).cpu().numpy(), torch.cat(predicted).cpu().numpy().astype(np.float64)
