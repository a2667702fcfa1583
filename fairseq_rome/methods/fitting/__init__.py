"""What methods fit with: the time steps of a change, the values to add, the gates to open."""
