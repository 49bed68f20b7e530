"""What every study has besides its objectives."""

#: Lines that no objective stands behind: an encoder trained from its initialisation with labels alone, and one that
#: stays as it was initialised.
SUPERVISED, RANDOM = "supervised", "random"
