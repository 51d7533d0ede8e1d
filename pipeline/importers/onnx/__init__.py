"""Read ONNX models: a file as plain data, its constants folded, its operators one by one."""
