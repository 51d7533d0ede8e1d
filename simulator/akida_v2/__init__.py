"""Akida 2.0: one class per hardware layer, sharing no arithmetic with other chips."""

from simulator.akida_v2.add import Add
from simulator.akida_v2.buffer_temp_conv import BufferTempConv, DepthwiseBufferTempConv
from simulator.akida_v2.concatenate import Concatenate
from simulator.akida_v2.conv2d import Conv2D
from simulator.akida_v2.conv2d_transpose import Conv2DTranspose, DepthwiseConv2DTranspose
from simulator.akida_v2.dense1d import Dense1D
from simulator.akida_v2.depthwise_conv2d import DepthwiseConv2D
from simulator.akida_v2.input_conv2d import InputConv2D
from simulator.akida_v2.outputs import Outputs
from simulator.akida_v2.quantizer import Dequantizer, InputData, Quantizer

LAYERS = (
    InputData,
    Quantizer,
    InputConv2D,
    Conv2D,
    DepthwiseConv2D,
    Conv2DTranspose,
    DepthwiseConv2DTranspose,
    Dense1D,
    BufferTempConv,
    DepthwiseBufferTempConv,
    Add,
    Concatenate,
    Dequantizer,
    Outputs,
)
