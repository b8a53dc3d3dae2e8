"""Distillation: the losses, the training loop, the teacher's stage and the job that strings them together."""
