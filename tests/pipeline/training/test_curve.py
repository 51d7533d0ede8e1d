"""Training curve as a table and as a picture."""

import pytest

from pipeline.training.curve import draw_curve, write_curve

COURSES = [
    {"loss": [2.0, 1.0], "accuracy": [0.5, 0.75], "val_loss": [2.5, 2.0], "val_accuracy": [0.5, 1]},
    {"loss": [2.0], "mean_absolute_error": [3.0]},
    {},
]


@pytest.mark.parametrize("course", COURSES)
def test_every_curve_is_drawn_reproducibly(course):
    picture = draw_curve(course)
    assert picture.startswith(b"\x89PNG") and picture == draw_curve(course)


def test_the_table_has_a_line_for_each_epoch(tmp_path):
    write_curve(tmp_path / "training.csv", COURSES[0])
    assert (tmp_path / "training.csv").read_text().splitlines() == [
        "epoch,loss,accuracy,val_loss,val_accuracy",
        "1,2.0,0.5,2.5,0.5",
        "2,1.0,0.75,2.0,1",
    ]
