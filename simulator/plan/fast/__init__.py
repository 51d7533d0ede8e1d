"""The ``fast`` backend: compiled loops around register tiles; needs numba."""
