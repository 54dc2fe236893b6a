"""The fault suite: what must survive a kill, a restart, a flood and hostile outputs, counted."""
