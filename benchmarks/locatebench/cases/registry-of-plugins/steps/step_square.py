from registry import Step


class Square(Step):
    """Squares."""

    def __call__(self, value):
        return value * value
