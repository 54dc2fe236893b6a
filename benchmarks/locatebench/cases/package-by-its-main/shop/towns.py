class Towns:
    """Names, a line each."""

    def __init__(self, path):
        with open(path, errors="replace") as file:
            self._names = [line.strip() for line in file]

    def __len__(self):
        return len(self._names)

    def letters(self):
        return [len(name) for name in self._names]
