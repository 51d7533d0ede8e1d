"""A made-up chip: one convolution with a bounded ReLU, and one dense layer that ends in floats."""

from simulator.akida_mini.layers import MiniConv, MiniDense

LAYERS = (MiniConv, MiniDense)
