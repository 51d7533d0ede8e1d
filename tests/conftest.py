"""The order of the tests, and what all property tests have in common."""

from hypothesis import HealthCheck, settings

# Nothing is timed: a busy machine is no fault.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")


def pytest_collection_modifyitems(items):
    """Run files with slow tests first, so that workers side by side end at nearly the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
