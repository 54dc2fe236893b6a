"""Where a driven pendulum is."""

import numpy as np
from flow import Flow
from output import save
from scipy.integrate import solve_ivp

flow = Flow(1.5)
starts = np.linspace(0.1, 2.0, 6)
ends = [solve_ivp(flow, (0.0, 1500.0), [s, 0.0], max_step=0.2).y[0, -1] for s in starts]
winner = int(np.argmax(np.abs(np.sin(ends))))
save({"ends": ends, "winner": winner})
