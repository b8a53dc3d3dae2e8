"""The two models: loading a teacher safely, building the student from it, and what each weighs."""
