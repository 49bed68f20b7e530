"""The configuration as typed models: defaults, units, bounds, checks, and what is made from them."""
