"""Run a program on images with NumPy alone: ``python -m simulator PROGRAM IMAGES.npy``."""

from __future__ import annotations

import argparse
import sys

import numpy as np

from simulator.atomic_file import check_folder, write_atomically
from simulator.classes import classify
from simulator.engine import simulate
from simulator.errors import ProgramError
from simulator.image_scale import input_warning
from simulator.npy import DamagedArrayError, load_npy
from simulator.program import Program
from simulator.quiet_interrupt import raise_again


def main(arguments: list[str] | None = None) -> int:
    """Run a program; write its outputs or print the predicted classes. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("program", metavar="PROGRAM", help="program file (.npz)")
    parser.add_argument("images", metavar="IMAGES.npy", help="images, NHWC, in the input type")
    parser.add_argument("-o", "--output", metavar="OUT.npy", help="write the outputs there")
    options = parser.parse_args(arguments)
    raise_again()
    try:
        if options.output:
            check_folder(options.output)
        program = Program.load(options.program)
        images = load_images(options.images)
        outputs = simulate(program, images)
        if warning := input_warning(program, images):
            print(f"warning: {warning}", file=sys.stderr)
        if options.output:
            save_array(options.output, outputs)
    except (ProgramError, OSError) as error:
        named = getattr(error, "filename", None) and f"{error.filename}: {error.strerror}"
        print(f"error: {named or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    if options.output:
        print(f"{options.output}: {outputs.dtype} {outputs.shape}")
    else:
        print("\n".join(map(str, classify(outputs))))
    return 0


def load_images(path) -> np.ndarray:
    """Return the array in a ``.npy`` file; pickled objects are refused.

    Raises
    ------
    ProgramError
        If the file is missing or is not one plain array.
    """
    try:
        return load_npy(path)
    except FileNotFoundError:
        raise ProgramError(f"{path}: no such file; give a .npy array of images") from None
    except DamagedArrayError as error:
        raise ProgramError(f"{path}: not a readable .npy array ({error})") from error


def save_array(path, array: np.ndarray) -> None:
    """Write a ``.npy`` array atomically."""
    write_atomically(path, lambda file: np.save(file, array, allow_pickle=False))


if __name__ == "__main__":
    sys.exit(main())
