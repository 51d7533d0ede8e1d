"""Float models as files and architectures: where a run or a command gets its model from."""
