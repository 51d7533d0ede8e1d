"""Random models of operators that move, merge and name axes: as onnxruntime computes them."""

from collections import Counter

import numpy as np
import pytest

from tests.pipeline.importers.onnx_models import ints, model, node, same, weights

pytestmark = pytest.mark.slow
MODELS = 250


class Drawn:
    """A random model; `shape` is that of one image of the last tensor."""

    def __init__(self, rng):
        self.rng, self.nodes, self.constants = rng, [], {}
        self.start = tuple(int(n) for n in rng.integers(2, 6, rng.choice([1, 3, 3, 3])))
        self.shape, self.last = self.start, "x"
        self.kept = [("x", self.start)]

    def add(self, op, *others, shape=None, **attrs):
        out = f"t{len(self.nodes)}"
        self.nodes.append(node(op, self.last, *others, out=out, **attrs))
        self.last, self.shape = out, self.shape if shape is None else tuple(shape)
        self.kept.append((out, self.shape))

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants[name] = array
        return name

    def transpose(self):
        order = [int(n) for n in self.rng.permutation(len(self.shape))]
        shape = [self.shape[i] for i in order]
        self.add("Transpose", shape=shape, perm=[0, *(i + 1 for i in order)])

    def reshape(self):
        size, shape = int(np.prod(self.shape)), []
        for _ in range(int(self.rng.integers(0, 4))):
            factors = [n for n in range(1, size + 1) if size % n == 0 and n < 30]
            shape.append(int(self.rng.choice(factors)))
            size //= shape[-1]
        self.add("Reshape", self.constant(ints(0, *shape, size)), shape=(*shape, size))

    def flatten(self):
        self.add("Flatten", shape=[int(np.prod(self.shape))])

    def unsqueeze(self):
        axis = int(self.rng.integers(1, len(self.shape) + 2))
        shape = [*self.shape[: axis - 1], 1, *self.shape[axis - 1 :]]
        self.add("Unsqueeze", self.constant(ints(axis)), shape=shape)

    def relu(self):
        self.add("Relu")

    def scale(self):
        axis = int(self.rng.integers(len(self.shape)))
        shape = [n if i == axis else 1 for i, n in enumerate(self.shape)]
        self.add(str(self.rng.choice(["Mul", "Add"])), self.constant(weights(*shape)))

    def matrix(self):
        self.add("MatMul", self.constant(weights(self.shape[-1], 3)), shape=(*self.shape[:-1], 3))

    def conv(self):
        if len(self.shape) == 3:
            kernel = self.constant(weights(4, self.shape[0], 1, 2))
            shape = (4, *self.shape[1:])
            self.add("Conv", kernel, shape=shape, pads=[0, 0, 0, 1])

    def join(self):
        fitting = [name for name, shape in self.kept if shape == self.shape]
        other = str(self.rng.choice(fitting))
        if self.rng.random() < 0.5:
            self.add("Add", other)
        else:
            axis = int(self.rng.integers(len(self.shape)))
            shape = [2 * n if i == axis else n for i, n in enumerate(self.shape)]
            self.add("Concat", other, shape=shape, axis=axis + 1)

    def there_and_back(self):
        """Join a tensor with itself after a transpose and its inverse, through a function."""
        before, order = self.last, [int(n) for n in self.rng.permutation(len(self.shape))]
        shape = self.shape
        self.add("Transpose", shape=[shape[i] for i in order], perm=[0, *(i + 1 for i in order)])
        self.add("Sigmoid")
        back = [int(i) for i in np.argsort(order)]
        self.add("Transpose", shape=shape, perm=[0, *(i + 1 for i in back)])
        self.add("Add", before)

    def finished(self):
        self.nodes.append(node("Identity", self.last))
        return model(*self.nodes, shape=self.start, **self.constants)


STEPS = (
    *("transpose", "transpose", "reshape", "flatten", "unsqueeze", "relu", "scale", "matrix"),
    *("conv", "conv", "join", "there_and_back"),
)


def test_random_models_compute_the_same_or_are_refused(tmp_path):
    rng, drawn, outcomes = np.random.default_rng(3), Counter(), Counter()
    for _ in range(MODELS):
        made = Drawn(rng)
        for _ in range(int(rng.integers(2, 8))):
            step = str(rng.choice(STEPS))
            if len(made.shape) < 5 and np.prod(made.shape) < 4000:
                getattr(made, step)()
                drawn[step] += 1
        outcomes[same(made.finished(), tmp_path)] += 1
    assert min(drawn[step] for step in STEPS) > 30
    assert outcomes[True] > 0.9 * MODELS
