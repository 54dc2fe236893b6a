class Smoother:
    """An exponential average."""

    def __init__(self, rate):
        self.rate = rate
        self.level = None

    def fit(self, values):
        for value in values:
            self.update(value)

    def update(self, value):
        if self.level is None:
            self.level = value
        else:
            self.level += self.rate * (value - self.level)

    def summary(self):
        return {"level": self.level}
