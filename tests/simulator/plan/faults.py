"""Faults to plant in plans and layers, each a replacement in a source file."""

from __future__ import annotations

from dataclasses import dataclass

V1, V2 = "plan/akida_v1.py", "plan/akida_v2.py"
BOTH = ("numpy", "fast")


@dataclass(frozen=True)
class Fault:
    """Replacement of a source text that introduces a fault.

    Attributes
    ----------
    name : str
    file : str
        Relative to `simulator`.
    old, new : str
        `old` must occur once.
    backends : tuple of str
        Backends that contain the fault.
    tests : str
        File of the tests that must find it.
    """

    name: str
    file: str
    old: str
    new: str
    backends: tuple[str, ...] = BOTH
    tests: str = "test_drawn_layers.py"

    def planted(self, text: str) -> str:
        """Return the text of the file with the fault."""
        if text.count(self.old) != 1:
            raise LookupError(f"{self.name}: {self.file} has {self.old!r} {text.count(self.old)}x")
        return text.replace(self.old, self.new)


# fmt: off
FAULTS = (
    Fault("padding_value left out", V2,
          "padding_value=padding_value,",
          "padding_value=None,"),
    Fault("padding_value not divided by input_shift", V2,
          "return unshifted",
          "return value"),
    Fault("input_shift left out", V2,
          "weights = weights << shift[:, None]",
          "pass"),
    Fault("input_shift off by one", V2,
          "weights << shift[:, None]",
          "weights << (shift[:, None] + 1)"),
    Fault("inputs that saturate unseen", "plan/plan.py",
          "max(-low, high) > linear",
          "False and linear"),
    Fault("bias left out", V2,
          "return layer.bias.astype(np.int64) << shift",
          "return layer.bias * np.int64(0)"),
    Fault("bias_shift off by one", V2,
          "layer.bias.astype(np.int64) << shift",
          "layer.bias.astype(np.int64) << (shift + 1)"),
    Fault("max_value left out", V2,
          "_rounded(np.minimum(top, largest) * scales, shift)",
          "reach"),
    Fault("output_scales left out", V2,
          "scales = layer.output_scales.astype(np.int64)",
          "pass"),
    Fault("output_shift off by one", V2,
          "np.clip(layer.output_shift.astype(np.int64), *SHIFTS)",
          "np.clip(layer.output_shift.astype(np.int64) + 1, *SHIFTS)"),
    Fault("halves round down", V2,
          "(2 * levels - 1) <<",
          "2 * levels <<"),
    Fault("accumulator one bit too wide", V2,
          "if largest >= 1 << (layer.buffer_bits - 1):",
          "if largest >= 1 << layer.buffer_bits:"),
    Fault("product buffer ignored", V2,
          "saturating = largest * scales > limit",
          "saturating = largest * scales < 0"),
    Fault("kernel not flipped", V2,
          "weights = weights[::-1, ::-1]",
          "pass"),
    Fault("ReLU left out before a global sum", V2,
          "low = np.zeros_like(bias)",
          "low = bias - (1 << 24)"),
    Fault("bias left out before a global sum", V2,
          "        bias=bias,",
          "        bias=bias * 0,"),
    Fault("global_pool_shift ignored", V2,
          "plain and layer.global_pool_shift is None",
          "plain"),
    Fault("border 0 at the bottom", "plan/window.py",
          "padded[:, top + height :] = value",
          "padded[:, top + height :] = 0"),
    Fault("pooling border shifted", "plan/window.py",
          "return pads(self.sums_shape, linear.pool_size,",
          "return pads(self.sums_shape, linear.pool_size[::-1],"),
    Fault("pooling border of 0", "plan/numpy_step.py",
          "-np.inf, np.float32",
          "0, np.float32", ("numpy",)),
    Fault("strides swapped", "plan/numpy_step.py",
          "steps = (sn, sh * strides[0], sw * strides[1], sh, sw, sc)",
          "steps = (sn, sh * strides[1], sw * strides[0], sh, sw, sc)", ("numpy",)),
    Fault("floor instead of the nearest level", "plan/numpy_levels.py",
          "np.floor(steps.reshape(out.shape)",
          "np.rint(steps.reshape(out.shape)", ("numpy",)),
    Fault("uncertain levels not computed again", "plan/numpy_levels.py",
          "if len(places):",
          "if False:", ("numpy",)),
    Fault("uncertain levels computed again elsewhere", "plan/numpy_levels.py",
          "(8 * words[:, None] + np.arange(8))",
          "(8 * words[:, None] + np.arange(8)[::-1] // 2)", ("numpy",)),
    Fault("border of the next layer not cleared (NumPy)", "plan/workspace.py",
          "whole[:, :top] = 0",
          "whole[:, :top] = 1", ("numpy",)),
    Fault("border given to a layer with another (NumPy)", "plan/numpy_backend.py",
          "window.linear.padding_value is None",
          "True", ("numpy",)),
    Fault("rows left over by parts of a product", "product.py",
          "if whole < count:",
          "if False:", ("numpy",)),
    Fault("inputs of taps brought together with another stride", "plan/numpy_step.py",
          "(sn, line, pixel, sw * pixel, item)",
          "(sn, line, pixel, sh * pixel, item)", ("numpy",)),
    Fault("saturation counted one step early", "plan/numpy_levels.py",
          "np.count_nonzero(steps >= self.over)",
          "np.count_nonzero(steps > self.over - 2)", ("numpy",)),
    Fault("pooling border of 0 (compiled)", "plan/fast/pooling.py",
          "code.number(-32768, vectors.half)",
          "code.number(0, vectors.half)", ("fast",)),
    Fault("Winograd kernel with a wrong sign", "plan/fast/winograd.py",
          "[1, -1, 1]",
          "[1, 1, 1]", ("fast",)),
    Fault("Winograd inputs with a wrong sign", "plan/fast/winograd.py",
          "d[2] - d[1]",
          "d[1] - d[2]", ("fast",)),
    Fault("taps of a depthwise kernel mirrored", "plan/fast/layout.py",
          "np.arange(kw) * column_step)",
          "np.arange(kw)[::-1] * column_step)", ("fast",)),
    Fault("signed bytes without their offset", "plan/fast/factors.py",
          "self.initial = -self.offset * sums",
          "self.initial = 0 * sums", ("fast",)),
    Fault("signed bytes taken for unsigned ones", "plan/fast/factors.py",
          "if low >= 0 and high <= 255:\n        return 0",
          "if high <= 255:\n        return 0", ("fast",)),
    Fault("weights beyond a byte multiplied as bytes", "plan/fast/factors.py",
          "weights.max(initial=0) > 127",
          "weights.max(initial=0) > 1 << 15", ("fast",)),
    Fault("levels in too few bits", "plan/fast/factors.py",
          "if dots and low >= 0 and high <= 255:",
          "if dots and low >= 0:", ("fast",)),
    Fault("padding of signed bytes not offset", "plan/fast/factors.py",
          "row += self.offset",
          "pass", ("fast",)),
    Fault("border of the next layer not cleared", "plan/fast/tape.py",
          "self.add(\"clear\", **clearing)",
          "pass", ("fast",)),
    Fault("border given to a layer with another", "plan/fast/backend.py",
          "factors.linear.padding_value is None",
          "True", ("fast",)),
    Fault("memory of an output used too early", "plan/fast/run.py",
          "if self.last_use[name] == position and name in tape.tensors:",
          "if name in tape.tensors:", ("fast",)),
    Fault("memory of an output freed before its use", "plan/fast/tape.py",
          "Workspace(fixed=True)",
          "Workspace(fixed=False)", ("fast",), "test_memory.py"),
    Fault("tensors without bytes after the last image", "plan/fast/tensor.py",
          "images * self.steps[0] + SLACK",
          "images * self.steps[0]", ("fast",), "test_memory.py"),
    Fault("saturation counted one level late (compiled)", "plan/fast/finishes.py",
          "(level >= over)",
          "(level > over)", ("fast",)),
    Fault("last filters of a tile not written", "plan/fast/finishes.py",
          "code.loop(0, left * size)",
          "code.loop(1, left * size)", ("fast",)),
    Fault("odd step of a window left out", "plan/fast/tiles.py",
          "(steps & 1).differs(0)",
          "(steps & 1).differs(1)", ("fast",)),
    Fault("1.0: threshold off by one", V1,
          "np.floor(levels * step).astype(np.int64) + 1",
          "np.floor(levels * step).astype(np.int64)"),
    Fault("1.0: steps of another width", V1,
          "2.0 ** (4 - layer.act_bits)",
          "2.0 ** (3 - layer.act_bits)"),
    Fault("1.0: padding_value left out", V1,
          "layer.padding_value if is_input",
          "None if is_input"),
    Fault("1.0: input kernel flipped", V1,
          "weights if is_input else weights[::-1, ::-1]",
          "weights[::-1, ::-1]"),
    Fault("1.0: inputs row by row", V1,
          ".transpose(2, 1, 0, 3)",
          ".transpose(1, 2, 0, 3)"),
    Fault("zero point left out", "akida_v2/quantizer.py",
          "values = values + self.zero_points",
          "pass", ("reference",)),
    Fault("join shifts swapped", "akida_v2/add.py",
          "((a, self.a_shift), (b, self.b_shift))",
          "((a, self.b_shift), (b, self.a_shift))", ("reference",)),
    Fault("padding_value of the layer left out", "akida_v2/input_conv2d.py",
          "0 if self.padding_value is None else",
          "0 if True else", ("reference",)),
    Fault("1.0: levels from the threshold on", "akida_v1/neuron.py",
          "np.ceil(above / step)",
          "np.floor(above / step) + 1", ("reference",)),
)
# fmt: on
