"""Order of the tests, and common settings of property tests."""

from hypothesis import HealthCheck, settings

# No deadlines: a busy machine must not fail a test.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")


def pytest_collection_modifyitems(items):
    """Run files with slow tests first, so that parallel workers end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
