"""Blurring of stamps by Gaussians: seeing that is worse than it was."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

#: Full width at half maximum of a Gaussian over its standard deviation.
FWHM = 2 * math.sqrt(2 * math.log(2))

#: Standard deviations to which a kernel reaches.
REACH = 3.5


def kernels(sigma: Tensor, largest: float) -> Tensor:
    """Return Gaussian kernels (n, 2 r + 1), each with sum 1, of standard deviations (n,), in pixels.

    Parameters
    ----------
    sigma
        Standard deviations; 0 leaves all as it is.
    largest
        What none exceeds; it sets the reach r.
    """
    reach = math.ceil(REACH * largest)
    offsets = torch.arange(-reach, reach + 1, device=sigma.device, dtype=sigma.dtype)
    # The integral over each pixel: narrow kernels would be too wide if they were sampled.
    width = sigma.clamp_min(1e-3)[:, None] * math.sqrt(2)
    profile = torch.erf((offsets + 0.5) / width) - torch.erf((offsets - 0.5) / width)
    return profile / profile.sum(dim=1, keepdim=True)


def blur(images: Tensor, kernel: Tensor) -> Tensor:
    """Convolve images (n, bands, h, w) along both axes with kernels (n, bands, 2 r + 1); borders are repeated."""
    n, bands, height, width = images.shape
    reach, taps = kernel.shape[-1] // 2, kernel.reshape(n * bands, 1, 1, -1)
    x = images.reshape(1, n * bands, height, width)
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="replicate"), taps, groups=n * bands)
    x = F.conv2d(F.pad(x, (0, 0, reach, reach), mode="replicate"), taps.transpose(2, 3), groups=n * bands)
    return x.view(images.shape)
