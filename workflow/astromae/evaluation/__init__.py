"""Evaluation: metrics, tables and figures, from predictions alone."""
