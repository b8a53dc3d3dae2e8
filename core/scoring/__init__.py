"""Scoring: predictions, accuracy, agreement with the teacher, speed."""
