"""An encoder of one's own: two convolutions and a mean."""

from astromae.encoders import ENCODERS, Network
from astromae.typed import Typed
from pydantic import Field


class ConvolutionalSettings(Typed):
    """Settings of the encoder."""

    width: int = Field(ge=1, description="Number of features.")


def build(settings, bands, side, phase):
    from torch import nn

    class Convolutional(nn.Module):
        def __init__(self):
            super().__init__()
            self.width = settings.width
            self.layers = nn.Sequential(
                nn.Conv2d(bands, settings.width, 3, 2), nn.SiLU(), nn.Conv2d(settings.width, settings.width, 3, 2)
            )

        def features(self, images):
            return self.layers(images).mean(dim=(2, 3))

    return Convolutional()


ENCODERS.register("convolutional", Network("two convolutions", ConvolutionalSettings, build))
