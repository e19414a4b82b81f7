"""Long jobs that are killed, and the comparison of what they leave with what those leave that are not."""
