"""Measuring generated motion: the text-motion evaluator, its words and the metrics of the published tables.

`words` and `metrics` need no torch; `evaluator` does, so nothing is imported here.
"""
