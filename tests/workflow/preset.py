"""The configuration that tests run the workflow with."""

PRESET = ("--configfile", "workflow/presets/test.yaml")
