from pathlib import Path

from pipeline.graph.operations import OPERATIONS
from pipeline.graph.operations_page import page, traits


def test_the_page_of_operations_is_current():
    found = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    assert found == page(), "run 'make docs'"


def test_every_operation_is_described_and_every_trait_explained():
    text = page()
    for name, operation in OPERATIONS.items():
        assert f"\n| `{name}` | " in text
        assert all(isinstance(getattr(operation, trait), bool) for trait in traits())
    assert len(traits()) == 13
