"""Output of the tutorial "Upgrading to Akida 2.0": in columns, and as its page shows it."""

MODEL_SUMMARY = """\
                Model Summary
______________________________________________
Input shape  Output shape  Sequences  Layers
==============================================
[32, 32, 3]  [1, 1, 10]    1          {layers}
______________________________________________
"""
AKIDA_1_0 = (
    MODEL_SUMMARY.format(layers=2)
    + """
_____________________________________________________
Layer (type)         Output shape  Kernel shape

============= SW/conv2d-dense (Software) ============

conv2d (InputConv.)  [16, 16, 32]  (3, 3, 3, 32)
_____________________________________________________
dense (Fully.)       [1, 1, 10]    (1, 1, 8192, 10)
_____________________________________________________
"""
)
AKIDA_2_0 = (
    MODEL_SUMMARY.format(layers=3)
    + """
__________________________________________________________
Layer (type)                 Output shape  Kernel shape

=========== SW/conv2d-dequantizer_3 (Software) ===========

conv2d (InputConv2D)         [16, 16, 32]  (3, 3, 3, 32)
__________________________________________________________
dense (Dense1D)              [1, 1, 10]    (8192, 10)
__________________________________________________________
dequantizer_3 (Dequantizer)  [1, 1, 10]    N/A
__________________________________________________________
"""
)
PAGE_1_0 = """\
Model Summary
______________________________________________
Input shape Output shape Sequences Layers
==============================================
[32, 32, 3] [1, 1, 10] 1 2
______________________________________________
_____________________________________________________
Layer (type) Output shape Kernel shape
============= SW/conv2d-dense (Software) ============
conv2d (InputConv.) [16, 16, 32] (3, 3, 3, 32)
_____________________________________________________
dense (Fully.) [1, 1, 10] (1, 1, 8192, 10)
_____________________________________________________
"""
PAGE_2_0 = """\
Model Summary
______________________________________________
Input shape Output shape Sequences Layers
==============================================
[32, 32, 3] [1, 1, 10] 1 3
______________________________________________
__________________________________________________________
Layer (type) Output shape Kernel shape
=========== SW/conv2d-dequantizer_3 (Software) ===========
conv2d (InputConv2D) [16, 16, 32] (3, 3, 3, 32)
__________________________________________________________
dense (Dense1D) [1, 1, 10] (8192, 10)
__________________________________________________________
dequantizer_3 (Dequantizer) [1, 1, 10] N/A
__________________________________________________________
"""
PAGE_KERAS = """\
Layer (type) Output Shape Param #
input (InputLayer) [(None, 32, 32, 3)] 0
conv2d (Conv2D) (None, 16, 16, 32) 896
batch_normalization (BatchNormalization) (None, 16, 16, 32) 128
re_lu (ReLU) (None, 16, 16, 32) 0
flatten (Flatten) (None, 8192) 0
dense (Dense) (None, 10) 81930
Total params: 82954 (324.04 KB)
Trainable params: 82890 (323.79 KB)
Non-trainable params: 64 (256.00 Byte)
"""


def collapsed(text):
    """Return a text as the page shows it: runs of blanks collapsed, empty lines removed."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line)
