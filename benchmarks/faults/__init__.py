"""Break what runs depend on, and check that nothing is lost: ``python -m benchmarks.faults``."""
