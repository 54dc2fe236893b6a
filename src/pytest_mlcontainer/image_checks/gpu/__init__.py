"""What an image has for GPUs, and whether its parts agree; without a GPU, from what they say."""
