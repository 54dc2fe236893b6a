from fields import Numbered


class Encoder:
    """Gives words numbers."""

    vocabulary = Numbered()

    def __init__(self, words):
        self.vocabulary = words

    def __call__(self, words):
        return [self.vocabulary[word] for word in words]
