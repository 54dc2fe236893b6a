"""One module for each kind of file, and which of them a file belongs to."""
