"""Figures of the public datasets, computed from the raw files by another way than the platform's.

Each module reads the files as published and knows nothing of contracts, lake or models: plain Python and
Polars instead of SQL, cents instead of decimals, loops instead of windows. No figure is written down here; the
data may be any part of the published datasets.
"""
