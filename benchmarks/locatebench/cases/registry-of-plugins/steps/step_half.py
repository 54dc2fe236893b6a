from registry import Step


class Half(Step):
    """Halves."""

    def __call__(self, value):
        return value / 2
