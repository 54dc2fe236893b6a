from registry import Step


class Add(Step):
    """Adds."""

    def __call__(self, value):
        return value + 3
