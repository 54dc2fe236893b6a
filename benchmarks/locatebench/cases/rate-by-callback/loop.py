class Trainer:
    """Gradient descent on one weight."""

    def __init__(self, rate, callbacks):
        self.rate, self.callbacks, self.weight = rate, callbacks, 0.0

    def run(self, rows, epochs):
        for epoch in range(epochs):
            loss = self._epoch(rows)
            for callback in self.callbacks:
                callback.on_epoch(self, epoch, loss)

    def _epoch(self, rows):
        total = 0.0
        for x, y in rows:
            error = self.weight * x - y
            self.weight -= self.rate * error * x / 100
            total += error * error
        return total
