"""What goes on, as events; displays draw them. Nothing here knows pytest, or engines."""
