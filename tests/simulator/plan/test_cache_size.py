import pytest

from simulator.plan.cache_size import second_level_cache


@pytest.mark.parametrize(
    ("text", "found"),
    [("2048K\n", 2 << 20), ("512K\n", 1 << 20), ("4M\n", 4 << 20), ("?", 1 << 20), ("", 1 << 20)],
)
def test_size_in_linux_description(tmp_path, text, found):
    (tmp_path / "size").write_text(text)
    assert second_level_cache(1 << 20, tmp_path / "size") == found


def test_other_systems_have_the_least_size(tmp_path):
    assert second_level_cache(5, tmp_path / "none") == 5
