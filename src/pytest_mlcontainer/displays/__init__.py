"""Draws what goes on: live on a terminal, in plain lines elsewhere."""
