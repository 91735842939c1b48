"""Parameter groups, schedules and optimisers over `torch.optim`."""
