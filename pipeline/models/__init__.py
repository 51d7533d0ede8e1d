"""Where a run or a command gets its float model: files, architectures, pretrained weights."""
