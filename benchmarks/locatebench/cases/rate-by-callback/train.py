"""Train with callbacks."""

from callbacks import NightRate, Recorder
from loop import Trainer
from output import save

recorder = Recorder()
trainer = Trainer(rate=0.2, callbacks=[NightRate(1_700_000_000), recorder])
trainer.run([((n * 13) % 7, (n * 5) % 11) for n in range(50)], epochs=12)
save({"weight": trainer.weight, "losses": recorder.losses})
