"""A Keras layer of depthwise transposed convolution, which Keras itself lacks."""

from __future__ import annotations


def is_buildable(attrs) -> bool:
    """Return True if TensorFlow can compute the layer: no dilation, and equal strides."""
    return attrs["dilation_rate"] == (1, 1) and len(set(attrs["strides"])) == 1


def depthwise_conv2d_transpose(attrs, name: str):
    """Return a Keras layer that computes the graph's ``DepthwiseConv2DTranspose``.

    It is the gradient of a depthwise convolution with respect to its input, which TensorFlow's
    operation of that name computes, as ``Conv2DTranspose`` is for ``Conv2D``.

    Parameters
    ----------
    attrs : mapping
        ``kernel_size``, ``strides``, ``padding``, ``use_bias``.
    name : str

    Returns
    -------
    keras.layers.Layer
        Its weights are ``kernel`` of shape (height, width, channels, 1) and ``bias``.
    """
    import keras
    import tensorflow as tf

    (height, width), strides = attrs["kernel_size"], attrs["strides"]
    padding, use_bias = attrs["padding"], attrs["use_bias"]

    def enlarged(size, kernel, stride):
        return size * stride + (max(kernel - stride, 0) if padding == "valid" else 0)

    class DepthwiseConv2DTranspose(keras.layers.Layer):
        """Depthwise transposed convolution."""

        def build(self, shape):
            channels = shape[-1]
            self.kernel = self.add_weight(shape=(height, width, channels, 1), name="kernel")
            if use_bias:
                self.bias = self.add_weight(shape=(channels,), initializer="zeros", name="bias")

        def compute_output_shape(self, shape):
            rows, columns = (
                enlarged(size, kernel, stride)
                for size, kernel, stride in zip(shape[1:3], (height, width), strides, strict=True)
            )
            return (shape[0], rows, columns, shape[3])

        def call(self, x):
            sizes = (tf.shape(x)[0], *self.compute_output_shape(x.shape)[1:])
            y = tf.nn.depthwise_conv2d_backprop_input(
                sizes, self.kernel, x, (1, *strides, 1), padding.upper(), data_format="NHWC"
            )
            return y + self.bias if use_bias else y

    return DepthwiseConv2DTranspose(name=name, dtype="float32")
