"""Which tolerance applies where, and which output of one run meets which of the other."""
