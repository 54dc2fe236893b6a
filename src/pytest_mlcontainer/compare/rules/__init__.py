"""Which tolerance applies where, and which outputs of two runs are compared with each other."""
