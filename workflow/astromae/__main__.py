"""Run the command line as ``python -m astromae``."""

from astromae.cli import main

main()
