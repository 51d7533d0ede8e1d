"""Backend ``fast``: kernels compiled by LLVM, one native call per batch; needs llvmlite."""
