"""Small networks for the tests of analyses."""

from tests.pipeline.quantization.graphs import RELU, chain, conv


def legacy():
    """Return a network in the layer order of Akida 1.0."""
    separable = ("SeparableConv2D", {"filters": 8, "kernel_size": 3, "padding": "same"})
    relu = ("ReLU", {"max_value": 6.0})
    return chain(
        ("Rescaling", {"scale": 1 / 255}),
        *(conv(8), ("BatchNormalization", {}), relu, separable, relu, conv(8, kernel=1), relu),
        *(("Flatten", {}), ("Dense", {"units": 5})),
        shape=(12, 12, 3),
    )


def residual():
    """Return a network with a branch."""
    return chain(
        conv(4),
        RELU,
        conv(4),
        ("Add", {}, ("relu_2", "conv2d_3")),
        conv(4),
        RELU,
        ("GlobalAveragePooling2D", {}),
        ("Dense", {"units": 3}),
        shape=(12, 12, 3),
    )
