"""Akida 1.0: one class per hardware layer, sharing no arithmetic with other chips."""

from simulator.akida_v1.convolutional import Convolutional, InputConvolutional
from simulator.akida_v1.fully_connected import FullyConnected
from simulator.akida_v1.input_data import InputData
from simulator.akida_v1.separable_convolutional import SeparableConvolutional

LAYERS = (
    InputData,
    InputConvolutional,
    Convolutional,
    SeparableConvolutional,
    FullyConnected,
)
