"""A finished run for use elsewhere: a plain model folder with its card, ONNX files, and a report to pass on."""
