STEPS = []


class Step:
    """What plugins are made from."""

    def __init_subclass__(cls, **named):
        super().__init_subclass__(**named)
        STEPS.append(cls())
