"""The configuration's sections as frozen dataclasses; field names are the dotted names.

Each field declares its allowed values, which reading, refusing and documenting share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.config.fields import number, one_of
from pipeline.config.layer_widths import ACTIVATION_BITS, OUTPUT_BITS, WEIGHT_BITS, LayerWidths
from pipeline.config.measuring import Analyze, Evaluate
from pipeline.config.register_training import RegisterTraining
from pipeline.formats.table import EXPORTS
from pipeline.transforms.table import TRANSFORMS

OWN_FILES = (("data", "path"), ("model", "path"), ("training", "weights"))
"""Values that name files of the user."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which images and labels.

    Attributes
    ----------
    name : str
        A source in `pipeline.data`; ``keras:cifar10`` and ``tfds:cifar10`` are downloaded.
    path : str or None
        File or folder, where the source takes one.
    image_size : int or None
        Make pictures this many pixels high and wide, where the source has several sizes.
    train_samples, test_samples : int or None
        Use a subset, the first ones of a seeded shuffle; None uses all.
    seed : int
        Seed of the split and the subset.
    """

    name: str = one_of(
        "digits",
        "arrays",
        "digits",
        "digits32",
        "fashion_mnist",
        "image_folder",
        "japanese_vowels",
        "spoken_digits",
        prefixes=("keras:", "tfds:"),
    )
    path: str | None = None
    image_size: int | None = number(None, 1, 4096)
    train_samples: int | None = number(None, 1)
    test_samples: int | None = number(None, 1)
    seed: int = number(0, 0, 2**32 - 1)


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the float model is trained.

    Attributes
    ----------
    epochs : int
        0 keeps the initial weights.
    batch_size : int
        Images per step.
    optimizer : {"adam", "sgd"}
        Adam, or stochastic gradient descent with momentum.
    learning_rate : float
        At the start.
    schedule : {"cosine", "constant"}
        Learning rate over the training steps.
    batchnorm_momentum : float or None
        Of the moving statistics while training; None takes the model's own, or less where the
        training is too short for it.
    patience : int or None
        Stop after so many epochs without improvement on a tenth of the training images, which is
        then kept back, and keep the best weights; None trains all epochs on all images.
    regression_loss : {"mae", "mse"}
        For numbers instead of classes: mean absolute or mean squared error.
    weights : str or None
        Float model (.npz, .h5, .keras) to start from, layer by layer of the same name and shape.
    """

    epochs: int = number(15, 0)
    batch_size: int = number(32, 1)
    optimizer: str = one_of("adam", "adam", "sgd")
    learning_rate: float = number(0.005, above=0)
    schedule: str = one_of("cosine", "cosine", "constant")
    batchnorm_momentum: float | None = number(None, 0, 1)
    patience: int | None = number(None, 1)
    regression_loss: str = one_of("mae", "mae", "mse")
    weights: str | None = None


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How global average pooling is moved after ReLU.

    Attributes
    ----------
    strategy : {"exact", "relocate", "distill", "finetune"}
        ``exact`` adds an identity 1x1 convolution and changes nothing; the others move the
        pooling, which changes what the model computes: ``relocate`` recalibrates, ``distill``
        trains further on the old model's outputs, ``finetune`` on the labels.
    recalibrate : {"none", "bn", "ridge", "bn_ridge"}
        Without labels or training: batch norms measured and chosen, the next linear layer refitted.
    samples : int
        Unlabelled training images for recalibration and distillation.
    epochs, batch_size, optimizer, learning_rate, schedule
        Of distillation and fine-tuning, as in section ``training``.
    temperature : float
        Softens the outputs that distillation compares.
    seed : int
        Draws the samples and their order.
    """

    strategy: str = one_of("exact", "exact", "relocate", "distill", "finetune")
    recalibrate: str = one_of("bn_ridge", "none", "bn", "ridge", "bn_ridge")
    samples: int = number(1024, 2)
    epochs: int = number(10, 0)
    batch_size: int = number(32, 1)
    optimizer: str = one_of("adam", "adam", "sgd")
    learning_rate: float = number(0.001, above=0)
    schedule: str = one_of("cosine", "cosine", "constant")
    temperature: float = number(2.0, above=0)
    seed: int = number(0, 0, 2**32 - 1)


@dataclass(frozen=True, kw_only=True)
class Transforms:
    """Transforms of a trained model before quantization.

    Attributes
    ----------
    names : tuple of str
        Transforms, in order.
    gap : Gap
        How global average pooling is moved.
    samples : int
        Number of images on which each transform's output is compared with its input's.
    max_accuracy_drop : float or None
        Refuse a transform that loses more accuracy than this; None refuses nothing.
    """

    names: tuple[str, ...] = one_of((), *TRANSFORMS)
    gap: Gap = field(default_factory=Gap)
    samples: int = number(256, 1)
    max_accuracy_drop: float | None = number(None, 0, 1)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Data on which activation ranges are measured.

    Attributes
    ----------
    source : {"data", "random"}
        Training images or uniform noise.
    samples : int
        At most; a smaller training set is used whole.
    batch_size : int
        Images per batch; a range is measured for each, and combined by ``observer``.
    epochs : int
        Passes over the images.
    seed : int
        Chooses the training images, or the noise.
    """

    source: str = one_of("data", "data", "random")
    samples: int = number(1024, 1)
    batch_size: int = number(100, 1)
    epochs: int = number(1, 1)
    seed: int = number(0, 0, 2**32 - 1)


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """How a float model is quantized.

    Attributes
    ----------
    scheme : {"quantizeml", "cnn2snn"}
        ``quantizeml`` for either chip; ``cnn2snn`` is Akida 1.0's own. What it does not use is
        refused: `pipeline.config.unused`.
    input_weight_bits : int
        Width of the first layer's kernel.
    weight_bits : int
        Width of the other kernels.
    activation_bits : int
        Width of the outputs of activations.
    output_bits : int
        Width of the outputs of layers without activation.
    layers : mapping of str to LayerWidths
        Widths of single layers, by name, pattern or layer type; the most specific one counts.
    last_output_bits : int or None
        Quantize the model's output as well.
    buffer_bits : int
        Width of accumulators.
    per_tensor_activations : bool
        One scale for a whole activation, instead of one per channel.
    observer : {"ema", "max", "percentile"}
        How ranges of several batches are combined.
    momentum : float
        Weight of the past in ``ema``.
    equalize : bool
        Cross-layer equalization.
    flatten : {"align", "saturate"}
        Where channels with different scales are aligned before a dense layer: in its wide input
        shift, or already in the narrow output, as QuantizeML does.
    refine : {"none", "layers"}
        ``layers`` fits and rounds kernels, biases and ranges layer by layer, without labels, and
        keeps what helps on calibration images held out for that.
    train : {"none", "distill", "labels"}
        Train the registers further in TensorFlow: ``distill`` on the float model's outputs,
        ``labels`` half on these and half on the labels. The start is kept where it is better on
        held-out images.
    training : RegisterTraining
        How they are trained.
    calibration : Calibration
        On which images ranges are measured.
    """

    scheme: str = one_of("quantizeml", "quantizeml", "cnn2snn")
    input_weight_bits: int = one_of(8, *WEIGHT_BITS)
    weight_bits: int = one_of(8, *WEIGHT_BITS)
    activation_bits: int = one_of(8, *ACTIVATION_BITS)
    output_bits: int = one_of(8, *OUTPUT_BITS)
    layers: Mapping[str, LayerWidths] = field(default_factory=dict)
    last_output_bits: int | None = one_of(None, 4, 8, 16)
    buffer_bits: int = number(32, 16, 32)
    per_tensor_activations: bool = False
    observer: str = one_of("ema", "ema", "max", "percentile")
    momentum: float = number(0.9, 0, 1)
    equalize: bool = True
    flatten: str = one_of("align", "align", "saturate")
    refine: str = one_of("none", "none", "layers")
    train: str = one_of("none", "none", "distill", "labels")
    training: RegisterTraining = field(default_factory=RegisterTraining)
    calibration: Calibration = field(default_factory=Calibration)


@dataclass(frozen=True, kw_only=True)
class Target:
    """The chip that a quantized model is converted to.

    Attributes
    ----------
    name : str
        Name of a chip: a package in `pipeline.chips`.
    strict : bool
        Refuse a program beyond the chip's published limits, which only the emulator can run.
    fit_registers : bool
        Fit registers into their widths even where outputs change.
    """

    name: str = "akida_v2"
    strict: bool = False
    fit_registers: bool = False


@dataclass(frozen=True, kw_only=True)
class Export:
    """Files for other tools, in addition to the program.

    Attributes
    ----------
    formats : tuple of str
        Formats of the quantized model, each of which becomes a file.
    """

    formats: tuple[str, ...] = one_of((), *EXPORTS)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that determines the result of one run.

    Attributes
    ----------
    seed : int
        Initial weights and the order of training images.
    model : mapping
        An architecture, see `pipeline.graph.architecture`.
    data, training, transforms, quantization, target, export, evaluate, analyze
        The sections above.
    """

    seed: int = number(0, 0, 2**32 - 1)
    model: Mapping[str, Any] = field(default_factory=dict)
    data: Data = field(default_factory=Data)
    training: Training = field(default_factory=Training)
    transforms: Transforms = field(default_factory=Transforms)
    quantization: Quantization = field(default_factory=Quantization)
    target: Target = field(default_factory=Target)
    export: Export = field(default_factory=Export)
    evaluate: Evaluate = field(default_factory=Evaluate)
    analyze: Analyze = field(default_factory=Analyze)
