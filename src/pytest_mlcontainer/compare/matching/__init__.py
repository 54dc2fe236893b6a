"""What meets what inside a value: curves, vectors in any order, labels, pictures."""
