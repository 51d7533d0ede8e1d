"""The order of the tests."""


def pytest_collection_modifyitems(items):
    """Run files with slow tests first, so that workers side by side end at nearly the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
