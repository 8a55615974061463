"""A synthetic city and its agencies on real protocols: for the demonstration, for tests and for benchmarks.

``city`` and ``render`` make what the agencies hold (HOLDINGS.md), ``servers`` speak for the agencies, ``control``
starts and stops them. The pipeline imports nothing from here: it finds the agencies through the endpoints file alone.
"""
