import os


def rows(folder):
    """Each file's number."""
    for name in os.listdir(folder):
        with open(os.path.join(folder, name)) as file:
            yield float(file.read())


def scaled(numbers, factor):
    for number in numbers:
        yield number * factor
