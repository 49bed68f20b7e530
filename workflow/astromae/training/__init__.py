"""Training: from stamps to encoders, and from encoders to redshifts."""
