"""Backend ``fast``: compiled loops around register tiles; needs numba."""
