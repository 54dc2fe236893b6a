"""Two recordings of a program → where they part, and on which way that reaches the outputs."""
