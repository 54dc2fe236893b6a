"""How large an image is, what takes the room, and what of that nobody needs."""
